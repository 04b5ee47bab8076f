"""Turns measured values into the lines of a report: quantiles, medians with their spread, markdown tables."""

import math
import statistics
from collections.abc import Iterable, Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed; NaN when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return `median (smallest - largest)`, or the value alone where there is one."""
    if not values:
        return "-"
    middle, low, high = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} - {high})"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table, its first column on the left and all others on the right."""
    lines = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def verdict(goal: str, *, is_met: bool) -> str:
    """Return one line that says whether a goal was met in this run."""
    return f"- {'met' if is_met else '**missed**'}: {goal}\n"
