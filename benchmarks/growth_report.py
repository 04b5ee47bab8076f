"""The results of the growth benchmark, and their report."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.tables import spread, table, verdict

COST_LOGINS = 20
BYTES_GOAL, RATE_GOAL, MIB_GOAL, LEFT_GOAL = 450, 0.10, 120, 0.02


@dataclass(frozen=True)
class Pace:
    """One round: calls/s, CPU per call (worker, Redis), memory (MiB) early and late, Redis' slowest command."""

    rate: float
    worker_us: float
    redis_us: float
    early: float
    late: float
    pss: float
    largest_pss: float
    largest_rss: float
    slowest_ms: float


@dataclass
class Cost:
    """Cost per login of settling and claiming COST_LOGINS in one script: commands, us, page faults of Redis."""

    commands: float
    us: list[float] = field(default_factory=list)
    faults: float = 0.0


@dataclass(frozen=True)
class Memory:
    """Redis' memory in bytes, (used, resident), at each stage."""

    empty: tuple[int, int]
    full: tuple[int, int]
    drained: tuple[int, int]
    rest_a_login: float
    drained_logins: int


def report(
    logins: int,
    paces: Mapping[str, Sequence[Pace]],
    costs: Mapping[str, Cost],
    memory: Memory,
    took: Mapping[str, float],
) -> str:
    """Return the report."""
    text = "## Growth of the backlog, median (min - max)\n\n"
    rows: list[tuple[object, ...]] = [
        (label, *(spread([getattr(pace, name) for pace in side], digits) for side in paces.values()))
        for label, name, digits in (
            ("calls/s", "rate", 0),
            ("worker CPU us/call", "worker_us", 0),
            ("Redis CPU us/call, feeding included", "redis_us", 0),
            ("all processes of the worker, MiB (PSS)", "pss", 1),
            ("of that anonymous, after 1,000 calls", "early", 1),
            ("of that anonymous, at the end", "late", 1),
            ("largest process, MiB (PSS)", "largest_pss", 1),
            ("largest process, MiB (RSS)", "largest_rss", 1),
            ("slowest Redis command, ms", "slowest_ms", 1),
        )
    ]
    rows.append(("settle and claim: commands a login", *(f"{cost.commands:.1f}" for cost in costs.values())))
    rows.append(("settle and claim: us a login", *(spread(cost.us, 1) for cost in costs.values())))
    rows.append(("page faults of Redis a login meanwhile", *(f"{cost.faults:.2f}" for cost in costs.values())))
    text += table(("", *paces), rows) + "\n"
    text += f"Filled in {took['filling']:.0f} s, drained in {took['draining']:.0f} s (by claim and settle alone, "
    text += "without the calls).\n\n" + _memory_lines(logins, memory)
    return text + _verdicts(logins, list(paces.values()), memory)


def _memory_lines(logins: int, memory: Memory) -> str:
    stages = (
        ("empty", memory.empty, ""),
        (f"{logins:,} due", memory.full, f"{_a_login(memory, logins):.0f}"),
        (f"{memory.drained_logins:,} keys, all confirmed", memory.drained, f"{_drained(memory):.0f}"),
    )
    rows = [(name, f"{used / 1e6:.1f}", f"{rss / 1e6:.1f}", each) for name, (used, rss), each in stages]
    rows.append(("at rest (recorded and confirmed twenty at a time)", "", "", f"{memory.rest_a_login:.0f}"))
    return table(("Redis", "used MB", "resident MB", "used bytes a login"), rows) + "\n"


def _a_login(memory: Memory, logins: int) -> float:
    return (memory.full[0] - memory.empty[0]) / logins


def _drained(memory: Memory) -> float:
    return (memory.drained[0] - memory.empty[0]) / memory.drained_logins


def _verdicts(logins: int, paces: Sequence[Sequence[Pace]], memory: Memory) -> str:
    turns = [many.rate / few.rate - 1 for few, many in zip(*paces, strict=True)]
    change = statistics.median(turns)
    cpu_few, cpu_many = (statistics.median(pace.worker_us + pace.redis_us for pace in side) for side in paces)
    largest = max(pace.largest_pss for side in paces for pace in side)
    drift = max(abs(pace.late / pace.early - 1) for side in paces for pace in side)
    sizes = [statistics.median(pace.late for pace in side) for side in paces]
    each = _a_login(memory, logins)
    gone = _drained(memory) / memory.rest_a_login - 1
    return (
        verdict(
            f"calls/s {change:+.1%}, turn against turn ({min(turns):+.1%} to {max(turns):+.1%}; CPU a call"
            f" {cpu_many / cpu_few - 1:+.1%}), goal within 10 %",
            is_met=change >= -RATE_GOAL,
        )
        + verdict(
            f"the worker's own memory grows by {drift:.1%} in a round, {sizes[1] / sizes[0] - 1:+.1%} from few to many,"
            " goal 10 %",
            is_met=drift <= RATE_GOAL and sizes[1] <= sizes[0] * (1 + RATE_GOAL),
        )
        + verdict(f"largest process {largest:.0f} MiB, goal under {MIB_GOAL} MB", is_met=largest * 1.048576 < MIB_GOAL)
        + verdict(f"{each:.0f} bytes a login in Redis, goal {BYTES_GOAL}", is_met=each <= BYTES_GOAL)
        + verdict(f"drained {gone:+.1%} of the size at rest, goal 2 % above at most", is_met=gone <= LEFT_GOAL)
    )
