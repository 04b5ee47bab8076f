import math

from benchmarks.tables import quantile, spread, table


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]


def test_one_value_is_every_quantile_and_no_value_has_none() -> None:
    assert quantile([7.0], 0.5) == quantile([7.0], 0.99) == 7
    assert math.isnan(quantile([], 0.5))


def test_a_missing_event_counts_in_the_quantiles() -> None:
    assert quantile([1.0, math.inf], 0.99) == math.inf


def test_a_spread_names_median_minimum_and_maximum() -> None:
    assert spread([3.0, 1.0, 1000.0]) == "3 (1 - 1,000)"
    assert spread([2.5], 1) == "2.5"
    assert spread([]) == "-"


def test_a_table_is_markdown() -> None:
    assert table(("way", "rate"), [("a", 1)]) == "| way | rate |\n|---|---:|\n| a | 1 |\n"
