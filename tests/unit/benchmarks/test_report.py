from benchmarks.report import ratios, results
from tests.unit.benchmarks.heats import heat


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_row_has_medians_with_minimum_and_maximum_and_cpu_for_a_call() -> None:
    heats = [heat("arq", rate, events=2000, worker_cpu=cpu) for rate, cpu in ((300, 1), (100, 4), (200, 2))]

    row = dict(zip(cells(results(heats).splitlines()[0]), cells(results(heats).splitlines()[2]), strict=True))

    assert row["events/s"] == "200 (100 to 300)"
    assert row["CPU us a call: workers"] == "1,000 (500 to 2,000)"
    assert row["each login once"] == "yes"


def test_a_single_round_has_no_spread() -> None:
    assert cells(results([heat("arq", 300)]).splitlines()[2])[2] == "300"


def test_a_failed_heat_is_marked() -> None:
    heats = [heat("saq", 10), heat("saq", 10, missing=7, ending="not done after 40 s\nthe end of a log")]

    assert cells(results(heats).splitlines()[2])[-1] == "7 missing; not done after 40 s"


def test_ratios_compare_rate_and_cpu_within_each_round() -> None:
    ours = [heat("nightly", 2000, worker_cpu=1, redis_cpu=1), heat("nightly", 3000, worker_cpu=3)]
    theirs = [heat("bare loop", 1000, worker_cpu=2), heat("bare loop", 1000, worker_cpu=2)]

    found = ratios([*ours, *theirs], [("nightly", "bare loop"), ("nightly", "absent")], [0, 50])

    assert [cells(row) for row in found.splitlines()[2:]] == [
        ["0 ms: nightly to bare loop", "2.50 (2.00 to 3.00)", "1.00 (0.50 to 1.50)", "1.25 (1.00 to 1.50)"]
    ]


def test_nothing_is_compared_if_one_side_is_absent() -> None:
    assert not ratios([heat("nightly", 2000)], [("nightly", "bare loop")], [0])


def test_cpu_is_divided_by_the_calls_that_were_made() -> None:
    unfinished = heat("nightly", 10, events=1000, missing=500, worker_cpu=1, ending="not done after 40 s")

    assert unfinished.cpu_us(unfinished.worker_cpu) == 2000
    assert heat("nightly", 0, events=1000, missing=1000).cpu_us(0) == 0
