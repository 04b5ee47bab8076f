"""Measures a backfill of a file: the command's time and memory, and Redis' memory while rows wait and drain.

Runs the real command in its own process. Drains only a part, because a million rows take long and each row adds the
same to Redis when it is handed over.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from benchmarks.redis_cost import used_memory
from benchmarks.stub import Stub
from benchmarks.system import NO_CEILING, System, open_system
from benchmarks.tables import table, verdict
from sandbox.stack.waiting import wait_until
from worker.backfill.models import RowOutcome
from worker.ledger.audit import Actor

WITHIN_SECONDS = 300.0
LOOK_SECONDS, PEAK_LOOK_SECONDS = 0.1, 0.02
FLAT = 0.01
SECONDS_GOAL, MEMORY_GOAL_MIB, REDIS_GOAL_BYTES = 60, 200, 450


@dataclass(frozen=True, slots=True)
class Loaded:
    """The command's time and peak memory, and the id of the backfill that it created."""

    backfill_id: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Redis' memory in bytes above that of the empty ledger.

    `waiting`: the means over the first and the last tenth of the time in which nothing was handed over. `worst`: the
    maximum, when `worst_handed_over` rows had been handed over.
    """

    loaded: int
    waiting: tuple[float, float]
    worst: int
    worst_handed_over: int
    drained: int
    handed_over: int
    applied_per_second: float


def make_file(path: Path, logins: int) -> list[str]:
    """Write `logins` new loginIds, one per line, and return them."""
    made = [str(uuid4()) for _ in range(logins)]
    path.write_text("\n".join(made) + "\n")
    return made


def start_backfill(system: System, file: Path, *options: str) -> Loaded:
    """Run `nightly backfill start FILE --on` until it ends; raises AssertionError unless its exit code is 0."""
    argv = [sys.executable, "-m", "worker", "backfill", "start", str(file), "--on", *options]
    before, began = {one.id for one in system.services.backfills.all()}, time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        argv, env=system.stack.environment, cwd=system.stack.folder, stdout=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(PEAK_LOOK_SECONDS)
    took = time.monotonic() - began
    if process.returncode:
        raise AssertionError(f"the command ended with exit code {process.returncode}")
    [made] = [one.id for one in system.services.backfills.all() if one.id not in before]
    return Loaded(made, took, peak)


def _peak_mib(pid: int) -> float:
    """Return the peak memory (RSS) of a process, 0 if it has ended.

    `wait4` would include this process, which forked it and holds all loginIds.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def measure(folder: Path, rows: int, drained: int, wait_seconds: float) -> str:
    """Load the file, let its rows wait, drain a part without a rate limit; returns the report."""
    file = folder / "logins.txt"
    make_file(file, rows)
    with Stub(folder) as stub, open_system(folder, stub.url, NO_CEILING) as system:
        system.start_worker()
        empty, _ = used_memory(system.redis)
        loaded = start_backfill(system, file, "--quiet-hours", _now_quiet())
        sizes = _drain(system, loaded, drained, wait_seconds, empty)
    return _report(rows, loaded, sizes)


def _now_quiet() -> str:
    """Return quiet hours (UTC) of the next twelve hours, in which the worker hands no row over."""
    hour = time.gmtime().tm_hour
    return f"{hour:02d}:00-{(hour + 12) % 24:02d}:00"


def _drain(system: System, loaded: Loaded, drained: int, wait_seconds: float, empty: int) -> Sizes:
    backfills = system.services.backfills

    def above() -> int:
        return used_memory(system.redis)[0] - empty

    at_first = above()
    waits = _samples(above, wait_seconds)
    part = max(len(waits) // 10, 1)
    system.redis.hset(f"nightly:backfill:{loaded.backfill_id}", "quiet", "")  # as if the quiet hours were over
    system.redis.delete("nightly:feed-hint")
    began, worst, worst_at = time.monotonic(), 0, 0
    while (found := backfills.get(loaded.backfill_id)).counts[RowOutcome.APPLIED] < drained:
        if (size := above()) > worst:
            worst, worst_at = size, found.fed
        if time.monotonic() - began > WITHIN_SECONDS:
            raise AssertionError(f"only {found.counts} within {WITHIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
    pace = found.counts[RowOutcome.APPLIED] / (time.monotonic() - began)
    if found.fed < found.rows:
        backfills.pause(loaded.backfill_id, by=Actor("benchmark", "admin", "cli"))
    wait_until(lambda: system.due() == 0 and not system.redis.zcard("nightly:leases:toolbox"), seconds=WITHIN_SECONDS)
    handed_over = backfills.get(loaded.backfill_id).fed
    time.sleep(1)  # Redis frees the last scripts' memory meanwhile
    return Sizes(
        at_first, (sum(waits[:part]) / part, sum(waits[-part:]) / part), worst, worst_at, above(), handed_over, pace
    )


def _samples(read: Callable[[], int], seconds: float) -> list[int]:
    ends_at, found = time.monotonic() + seconds, [read()]
    while time.monotonic() < ends_at:
        time.sleep(LOOK_SECONDS)
        found.append(read())
    return found


def _report(rows: int, loaded: Loaded, sizes: Sizes) -> str:
    waits = sizes.loaded / rows
    added = (sizes.drained - sizes.loaded) / sizes.handed_over
    worst = (sizes.worst - sizes.loaded) / max(sizes.worst_handed_over, 1)
    early, late = sizes.waiting
    change = late / early - 1
    text = f"## A backfill of {rows:,} loginIds\n\n"
    text += table(
        ("what", "figure"),
        [
            ("`nightly backfill start`, seconds", f"{loaded.seconds:.1f}"),
            ("its peak memory (RSS), MiB", f"{loaded.peak_mib:.0f}"),
            ("Redis, bytes for each waiting row", f"{waits:.1f}"),
            ("the same at the beginning and the end of the wait", f"{early / rows:.1f}, {late / rows:.1f}"),
            (f"bytes more for each of {sizes.handed_over:,} rows handed over, at rest again", f"{added:.0f}"),
            (f"the same at the peak ({sizes.worst_handed_over:,} handed over)", f"{worst:.0f}"),
            ("rows applied a second", f"{sizes.applied_per_second:,.0f}"),
        ],
    )
    text += "\n" + verdict(
        f"start took {loaded.seconds:.1f} s, goal under {SECONDS_GOAL}", is_met=loaded.seconds < SECONDS_GOAL
    )
    text += verdict(
        f"its memory {loaded.peak_mib:.0f} MiB, goal under {MEMORY_GOAL_MIB}", is_met=loaded.peak_mib < MEMORY_GOAL_MIB
    )
    text += verdict(
        f"a row that waits and is then handed over, at the peak: {waits + worst:.0f} bytes, "
        f"goal under {REDIS_GOAL_BYTES}",
        is_met=waits + worst < REDIS_GOAL_BYTES,
    )
    return text + verdict(f"change during the wait: {change:+.1%}, goal within 1 %", is_met=abs(change) < FLAT)
