"""Compares 1,000,000 due logins with 1,000: calls a second, memory of workers and Redis, cost of claim and settle.

Two ledgers, each in its own Redis, take turns with one stub. A new login replaces each called one, so that the number
of due logins stays constant and both ledgers have the same intake.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.filling import at_leisure, bodies, drain, fill, turn
from benchmarks.growth_report import COST_LOGINS, Cost, Memory, Pace, report
from benchmarks.memory import MemoryWatch
from benchmarks.meter import cpu_seconds, family
from benchmarks.redis_cost import Commands, minor_faults, slowest_ms, used_memory, watch_slow
from benchmarks.stub import Stub
from benchmarks.system import NO_CEILING, System, open_system
from worker.ledger import Recorded, Wish
from worker.services import build_intake

LOGINS, FEW, CALLS, ROUNDS = 1_000_000, 1_000, 20_000, 3
REST_SHARE = 16
"""Factor by which the ledger at rest is smaller: a power of two, so its hash tables are as full as the large ones."""
WARM_CALLS = 1_000
WITHIN_SECONDS = 120.0
COST_ROUNDS = 40


def run(folder: Path, *, logins: int = LOGINS, calls: int = CALLS, rounds: int = ROUNDS) -> str:
    """Fill the ledgers, measure in turns, drain; returns the report."""
    with ExitStack() as open_ones:
        stub = open_ones.enter_context(Stub(folder))
        many, few = (open_ones.enter_context(open_system(folder, stub.url, NO_CEILING)) for _ in range(2))
        empty = used_memory(many.redis)
        took = {"filling": fill(many, logins)}
        full = used_memory(many.redis)
        fill(few, FEW)
        paces: dict[str, list[Pace]] = {f"{FEW:,} due": [], f"{logins:,} due": []}
        sides = [(f"{FEW:,} due", few), (f"{logins:,} due", many)]
        for turn in range(rounds):
            for name, system in sides if turn % 2 == 0 else sides[::-1]:
                paces[name].append(_steady(system, stub, calls))
        costs = {name: _cost(system) for name, system in sides}
        took["draining"] = drain(many)
        drained, drained_logins = used_memory(many.redis), int(many.redis.dbsize())
        memory = Memory(empty, full, drained, _rest(folder, drained_logins // REST_SHARE), drained_logins)
    return report(logins, paces, costs, memory, took)


def _steady(system: System, stub: Stub, calls: int) -> Pace:
    """Let a new worker make `calls` calls while the same number of new logins become due; returns its pace."""
    due, feed = system.due(), _wishes(system, calls + 10 * WARM_CALLS)
    stub.reset()
    watch_slow(system.redis)
    process = system.start_worker()
    _feed(system, stub, feed, due, WARM_CALLS)
    with MemoryWatch(process.pid) as memory:
        began = cpu_seconds(family(process.pid)), cpu_seconds([system.redis_pid])
        at_first = stub.count()
        _feed(system, stub, feed, due, at_first + calls)
        made = stub.count() - at_first
        ended = cpu_seconds(family(process.pid)), cpu_seconds([system.redis_pid])
    arrivals = [call.at_us for call in stub.calls()][at_first : at_first + calls]
    system.stack.stop_process(process)
    _feed(system, stub, feed, due, 0)
    first, last = arrivals[calls // 5], arrivals[calls * 4 // 5]
    return Pace(
        rate=(calls * 4 // 5 - calls // 5) / (last - first) * 1e6,
        worker_us=(ended[0] - began[0]) / made * 1e6,
        redis_us=(ended[1] - began[1]) / made * 1e6,
        early=memory.near(0, 2, lambda sample: sample.anonymous),
        late=memory.near(1, 2, lambda sample: sample.anonymous),
        pss=memory.near(1, 2, lambda sample: sample.pss),
        largest_pss=memory.peak(lambda sample: sample.largest_pss),
        largest_rss=memory.peak(lambda sample: sample.largest_rss),
        slowest_ms=slowest_ms(system.redis),
    )


def _feed(system: System, stub: Stub, wishes: Iterator[Wish], due: int, until: int) -> None:
    """Keep `due` logins due until the stub has seen `until` calls."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        missing = list(islice(wishes, max(0, due - system.due())))
        system.services.ledger.record(missing)
        if stub.count() >= until:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"only {stub.count()} of {until} calls within {WITHIN_SECONDS} s")
        time.sleep(0.02)


class _Collector:
    """Replaces the ledger for an intake, and collects the wishes instead of recording them."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []

    def record(self, wishes: Sequence[Wish], **_: Any) -> list[Recorded]:
        self.wishes += wishes
        return [Recorded.RECORDED] * len(wishes)


def _wishes(system: System, count: int) -> Iterator[Wish]:
    """Return wishes of new logins, parsed and sealed in advance, so that feeding costs little beside calling."""
    services, collector = system.services, _Collector()
    intake = build_intake(services.settings, collector, services.letters, services.vault)  # type: ignore[arg-type]
    intake.accept_bodies(list(bodies(count)))
    return iter(collector.wishes)


def _cost(system: System) -> Cost:
    """Measure single turns of a drain, which settle and claim in one script, with Redis' own counters."""
    found, faults = Cost(0), minor_faults(system.redis_pid)
    claims = turn(system.services, [], COST_LOGINS)
    for _ in range(COST_ROUNDS):
        before = Commands.read(system.redis)
        claims = turn(system.services, claims, COST_LOGINS)
        taken = Commands.read(system.redis).since(before)
        found.commands += taken.commands / COST_LOGINS / COST_ROUNDS
        found.us.append(taken.script_us / COST_LOGINS)
    turn(system.services, claims, 0)
    found.faults = (minor_faults(system.redis_pid) - faults) / COST_LOGINS / COST_ROUNDS
    return found


def _rest(folder: Path, logins: int) -> float:
    """Return the bytes per login in a ledger that recorded and confirmed its logins without a backlog."""
    with open_system(folder, "http://127.0.0.1:9", NO_CEILING) as system:
        empty, _ = used_memory(system.redis)
        at_leisure(system, logins)
        return (used_memory(system.redis)[0] - empty) / logins
