from benchmarks.report import results
from tests.unit.benchmarks.heats import heat


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_has_medians_with_minimum_and_maximum_and_cpu_for_a_thousand_events() -> None:
    heats = [heat("arq", rate, events=2000, worker_cpu=cpu) for rate, cpu in ((300, 1), (100, 4), (200, 2))]

    row = dict(zip(cells(results(heats).splitlines()[0]), cells(results(heats).splitlines()[2]), strict=True))

    assert row["events/s"] == "200 (100 to 300)"
    assert row["CPU s/1,000: workers"] == "1.000 (0.500 to 2.000)"
    assert row["each login once"] == "yes"


def test_a_single_round_has_no_spread() -> None:
    assert cells(results([heat("arq", 300)]).splitlines()[2])[2] == "300"


def test_a_failed_heat_is_marked() -> None:
    heats = [heat("saq", 10), heat("saq", 10, missing=7, ending="not done after 40 s\nthe end of a log")]

    assert cells(results(heats).splitlines()[2])[-1] == "7 missing; not done after 40 s"
