"""Measures a backfill: the cost of loading and draining a large file, and its effect on live events."""

from pathlib import Path

from benchmarks import backfill_beside, backfill_size

ROWS, DRAINED, WAIT_SECONDS = 1_000_000, 100_000, 60.0
BESIDE, ROUNDS, SECONDS = 200_000, 3, 15.0
CEILINGS, DELAYS = "500,2000,100000", "0,50"


def run(
    folder: Path,
    *,
    part: str = "size,beside",
    rows: int = ROWS,
    drained: int = DRAINED,
    wait_seconds: float = WAIT_SECONDS,
    beside: int = BESIDE,
    ceilings: str = CEILINGS,
    delays: str = DELAYS,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> str:
    """Measure the named parts: `size` with `rows` rows, `beside` with a backfill of `beside` rows."""
    texts = []
    if "size" in part:
        texts.append(backfill_size.measure(folder, rows, drained, wait_seconds))
    if "beside" in part:
        each = [float(delay) for delay in delays.split(",")]
        texts.append(backfill_beside.measure(folder, beside, ceilings.split(","), each, rounds, seconds))
    return "\n".join(texts)
