"""Measures the Redis memory of a login in each state: due, changed, failed once or more, at rest.

The number of logins is chosen so that Redis' hash tables are as full (95 %) as with a million logins.
"""

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from benchmarks.filling import BUSY, CONFIRMED, at_leisure, bodies, work_off
from benchmarks.redis_cost import used_memory
from benchmarks.system import NO_CEILING, System, open_system
from benchmarks.tables import table, verdict
from sandbox.stack.waiting import wait_until

LOGINS, AT_ONCE = 125_000, 200
BYTES_GOAL, BYTES_GOAL_FAILED = 450, 600
FAILURES = (1, 5, 19)
"""The twentieth failure makes a dead letter."""
WITHIN_SECONDS = 60.0


def run(folder: Path, *, logins: int = LOGINS) -> str:
    """Take each of two ledgers through its states; returns the report."""
    rows = dict([*_life(folder, logins, events=1), *_life(folder, logins, events=2)]).items()
    text = f"## Bytes a login in Redis, {logins:,} logins\n\n"
    text += table(("state", "used bytes a login"), [(name, f"{each:.0f}") for name, each in rows]) + "\n"
    return text + "".join(
        verdict(f"{name}: {each:.0f} bytes, goal {_goal(name)}", is_met=each <= _goal(name)) for name, each in rows
    )


def _goal(state: str) -> int:
    return BYTES_GOAL_FAILED if "fail" in state else BYTES_GOAL


def _life(folder: Path, logins: int, *, events: int) -> Iterator[tuple[str, float]]:
    """Yield each state with its bytes per login: due, confirmed before a further event, failed, at rest."""
    with open_system(folder, "http://127.0.0.1:9", NO_CEILING) as system:
        system.redis.config_set("slowlog-log-slower-than", -1)  # its entries would count as memory of logins
        at_leisure(system, 1)
        empty = _used(system)
        each = list(bodies(logins))
        for event in range(1, events + 1):
            _take_in(system, each, event)
            yield f"due for event {event}", (_used(system) - empty) / logins
            if event < events:
                work_off(system.services, logins, CONFIRMED)
                yield f"at rest after event {event}", (_used(system) - empty) / logins
        for failures in range(1, max(FAILURES) + 1):
            _make_due(system)
            work_off(system.services, logins, BUSY)
            if failures in FAILURES:
                yield f"event {events} failed {failures} x", (_used(system) - empty) / logins
        _make_due(system)
        work_off(system.services, logins, CONFIRMED)
        yield f"at rest after event {events}, its failures remembered", (_used(system) - empty) / logins


def _take_in(system: System, events: list[bytes], number: int) -> None:
    """Record an event for each login, newer than the one before."""
    for at in range(0, len(events), AT_ONCE):
        system.services.intake.accept_bodies([_on_day(body, number) for body in events[at : at + AT_ONCE]])


def _on_day(body: bytes, day: int) -> bytes:
    """Return another event of the same login, dated on day `day` of the last ten days."""
    event = json.loads(body)
    moved = datetime.fromisoformat(event["time"]) - timedelta(days=10 - day)
    return json.dumps(event | {"id": str(uuid4()), "time": moved.isoformat()}).encode()


def _make_due(system: System) -> None:
    """Make every waiting login due now, in random order, as retries fall due."""
    now = time.time_ns() // 1_000_000
    for lane in ("live", "backfill"):
        key = f"nightly:due:toolbox:{lane}"
        waiting = system.redis.zrange(key, 0, -1)
        for at in range(0, len(waiting), 1000):
            system.redis.zadd(key, {login: now - random.randrange(1, 60_000) for login in waiting[at : at + 1000]})


def _used(system: System) -> int:
    """Return the memory in use once no rewrite of the append-only file, which needs buffers, is in progress."""
    info = system.redis.info
    if not wait_until(lambda: not info("persistence")["aof_rewrite_in_progress"], seconds=WITHIN_SECONDS):
        raise AssertionError("the append-only file was being rewritten for too long")
    return used_memory(system.redis)[0]
