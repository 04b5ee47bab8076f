"""What the README shows of the demo and of the measurements is what they print."""

import io
import re

from rich.console import Console

from docs.generator.demo import end_of, in_readme, shape
from sandbox.demo.outcome import Outcome
from sandbox.demo.table import picture
from tests.places import ROOT

README = (ROOT / "README.md").read_text()


def demo_output() -> str:
    outcome = Outcome(
        logins=1000,
        published=2000,
        tally={"applied_on": 800},
        dead_lettered={"INVALID_LOGIN": 40},
        rejected={"invalid_event": 52, "unknown_instance": 8},
        calls=1600,
        seconds=12.5,
        differing=[],
        is_accounted_for=True,
        still_open={},
    )
    console = Console(width=120, file=io.StringIO(), record=True, markup=False)
    console.print(picture(outcome))
    return console.export_text()


def test_the_readme_shows_the_rows_that_the_demo_prints() -> None:
    assert shape(in_readme()) == shape(end_of(demo_output())), "stale: run `make readme`"


def test_the_shape_ignores_numbers_but_not_names() -> None:
    printed = end_of(demo_output())
    assert shape(printed) == shape(printed.replace("800", "1,234"))
    assert shape(printed) != shape(printed.replace("retried", "repeated"))
    assert shape(printed) != shape("\n".join(reversed(printed.splitlines())))


def test_each_measured_figure_of_the_readme_is_in_the_performance_document() -> None:
    table = README.partition("| naive task")[2].partition("\n\n")[0]
    figures = re.findall(r"\d[\d,.]*\d", table)
    measured = (ROOT / "docs" / "performance.md").read_text()
    assert len(figures) >= 15
    assert [figure for figure in figures if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d])", measured)] == []
