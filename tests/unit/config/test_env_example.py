from itertools import pairwise
from pathlib import Path

from tests.places import ROOT
from worker.config.settings import Settings

EXAMPLE = ROOT / ".env.example"


def test_the_example_names_every_setting_once_and_nothing_else() -> None:
    names = [line.partition("=")[0] for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]

    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_each_setting_in_the_example_has_its_comment_right_above() -> None:
    lines = EXAMPLE.read_text().splitlines()

    for above, line in pairwise(lines):
        assert line.startswith("#") or not line or above.startswith("# "), line


def test_the_unchanged_example_states_the_defaults() -> None:
    defaults = Settings.load()
    Path(".env").write_text(EXAMPLE.read_text())  # in the test's own folder

    assert Settings.load() == defaults
