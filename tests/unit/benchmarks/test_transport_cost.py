from itertools import product

from benchmarks.transport_cost import LOOPS, TRANSPORTS, Case, report

CHEAP = {"ours": 30.0, "ours unparsed": 20.0, "no parser": 20.0, "httpx-aiohttp": 120.0}


def costs(**changed: list[float]) -> dict[Case, list[float]]:
    cases = [Case(*case) for case in product(TRANSPORTS, LOOPS, ("http", "https"))]
    found = {case: [CHEAP.get(case.transport, 1.0)] * 3 for case in cases}
    return found | {Case(name.replace("_", "-"), "uvloop", "http"): values for name, values in changed.items()}


def test_both_goals_are_judged_by_the_median_of_ratios_within_a_round() -> None:
    assert report(costs()).count("- met") == 2
    assert "**missed**: over TCP on uvloop, at most 1.5 times" in report(costs(ours=[30, 30.1, 30.1]))


def test_httpx_aiohttp_is_compared_on_its_cheaper_loop() -> None:
    assert "**missed**: over TCP on uvloop, at least 4 times less" in report(costs(httpx_aiohttp=[119, 119, 500]))


def test_each_transport_has_a_row_and_each_ratio_its_spread() -> None:
    found = report(costs(ours=[10, 20, 40]))

    assert "| ours | 20 (10 - 40) | 30 (30 - 30) | 30 (30 - 30) | 30 (30 - 30) |" in found
    assert "| ours to no parser | 1.00 (0.50 - 2.00) |" in found
