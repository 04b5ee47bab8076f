"""Measures the latency of live events while a backfill drains, compared with the same system when it is idle.

Blocks take turns on one system and one stub: idle (backfill paused, one event at a time), alone (backfill paused, 50
events a second) and beside (backfill draining, 50 events a second). Some live events contradict the backfill's wish.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from benchmarks.backfill_size import make_file, start_backfill
from benchmarks.stub import Call, Stub
from benchmarks.system import INSTANCE, System, open_system
from benchmarks.tables import quantile, spread, table, verdict
from sandbox.stack.waiting import wait_until
from worker import publish
from worker.backfill.models import RowOutcome
from worker.backfill.store import Backfills
from worker.ledger.audit import Actor

BENCHMARK = Actor("benchmark", "admin", "cli")
IDLE_PAUSE_SECONDS = (0.05, 0.25)
LIVE_PER_SECOND = 50
CONTRADICTING = 0.2
WITHIN_SECONDS = 60.0
RATIO_GOAL = 2.0
KINDS = ("idle", "alone", "beside")


@dataclass(frozen=True, slots=True)
class Sent:
    """One live event: its login, its time of publishing (CLOCK_MONOTONIC, us) and its wish."""

    login_id: str
    at_us: int
    wants_active: bool


@dataclass
class Course:
    """The results of one course of blocks: the milliseconds of its events by kind and round."""

    ceiling: str
    delay_ms: float
    taken: dict[str, list[list[float]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    drained_per_second: list[float] = field(default_factory=list)
    contradicting: int = 0
    lost_conflicts: int = 0
    superseded: int = 0


def measure(
    folder: Path, rows: int, ceilings: Sequence[str], delays: Sequence[float], rounds: int, seconds: float
) -> str:
    """Run a course for each ceiling and delay; returns the report."""
    courses = []
    for ceiling in ceilings:
        for delay_ms in delays:
            with (
                Stub(folder) as stub,
                open_system(folder, stub.url, {"FLINKS_CALLS_PER_SECOND": ceiling}) as system,
            ):
                courses.append(_course(folder, stub, system, Course(ceiling, delay_ms), rows, rounds, seconds))
                print(_report(courses[-1:], rows), file=sys.stderr, flush=True)  # the rest may take long
    return _report(courses, rows)


class _Backfill:
    """The backfill of one course, which can be paused and resumed."""

    def __init__(self, system: System, file: Path, rows: int) -> None:
        self.logins = make_file(file, rows)
        self._system = system
        self._store: Backfills = system.services.backfills
        self.id = start_backfill(system, file).backfill_id
        self._store.pause(self.id, by=BENCHMARK)

    def fed(self) -> int:
        """Return the number of rows handed over."""
        return self._store.get(self.id).fed

    def resume(self) -> None:
        """Resume the backfill, and return once it drains."""
        before = self.fed()
        self._store.resume(self.id, by=BENCHMARK)
        wait_until(lambda: self.fed() > before, seconds=WITHIN_SECONDS)

    def rest(self) -> None:
        """Pause the backfill, and return once nothing is due or in flight."""
        found = self._store.get(self.id)
        if found.ended_at is None and found.status.value == "running":
            self._store.pause(self.id, by=BENCHMARK)
        if not wait_until(self._is_at_rest, seconds=WITHIN_SECONDS):
            raise AssertionError("no rest after a block")

    def has_rows_left(self) -> bool:
        """Return whether rows still wait to be handed over."""
        found = self._store.get(self.id)
        return found.fed < found.rows

    def superseded(self) -> int:
        """Return the number of superseded rows."""
        return self._store.get(self.id).counts[RowOutcome.SUPERSEDED]

    def _is_at_rest(self) -> bool:
        redis = self._system.redis
        unread = redis.xlen("account-events:stream")
        return not (unread or self._system.due() or redis.zcard(f"nightly:leases:{INSTANCE}"))


def _course(folder: Path, stub: Stub, system: System, course: Course, rows: int, rounds: int, seconds: float) -> Course:
    worker = system.start_worker()
    backfill = _Backfill(system, folder / "beside.txt", rows)
    stub.reset(delay_ms=course.delay_ms)
    backfill.rest()
    _send(system, _gaps_one_by_one(2), iter(()))  # opens connections, and makes the first call, which goes alone
    conflicts: list[Sent] = []
    furthest = 0
    for turn in range(rounds):
        for kind in KINDS[turn % len(KINDS) :] + KINDS[: turn % len(KINDS)]:
            backfill.rest()
            if kind != "beside":
                gaps = _gaps_one_by_one(seconds) if kind == "idle" else _gaps_at_random(seconds)
                sent = _send(system, gaps, iter(()))
            else:
                backfill.resume()
                began, before = time.monotonic(), backfill.fed()
                contrary = _contrary(backfill, int(seconds))
                sent = _send(system, _gaps_at_random(seconds), contrary)
                course.drained_per_second.append((backfill.fed() - before) / (time.monotonic() - began))
                if not backfill.has_rows_left():
                    raise AssertionError("the backfill ended within the block: give it more rows")
                known = {login: at for at, login in enumerate(backfill.logins)}
                conflicts += [one for one in sent if one.login_id in known]
                furthest = max([furthest, *(known[one.login_id] for one in sent if one.login_id in known)])
            backfill.rest()
            course.taken[kind].append(_milliseconds(sent, stub.calls(), course.delay_ms))
    _judge_conflicts(backfill, stub, course, conflicts, furthest)
    assert worker.is_running  # noqa: S101 - figures of a dead worker are worthless
    return course


def _contrary(backfill: _Backfill, seconds: int) -> Iterator[str]:
    """Yield logins of the file near the cursor: just called, in the lane, or next in this block."""
    used: set[str] = set()
    began, first = time.monotonic(), backfill.fed()
    while True:
        at = backfill.fed()
        pace = (at - first) / max(time.monotonic() - began, 0.5)
        ahead = max(int(pace * max(seconds - (time.monotonic() - began), 1)), 500)
        login = backfill.logins[min(random.randint(max(at - 500, 0), at + ahead), len(backfill.logins) - 1)]
        if login not in used:
            used.add(login)
            yield login


def _gaps_one_by_one(seconds: float) -> Iterator[float]:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        yield random.uniform(*IDLE_PAUSE_SECONDS)


def _gaps_at_random(seconds: float) -> Iterator[float]:
    """Yield the time left to the next event of a Poisson process, however long publishing took."""
    began = time.monotonic()
    at = random.expovariate(LIVE_PER_SECOND)
    while at < seconds:
        yield max(began + at - time.monotonic(), 0.0)
        at += random.expovariate(LIVE_PER_SECOND)


def _send(system: System, gaps: Iterator[float], contrary: Iterator[str]) -> list[Sent]:
    """Publish an event after each gap: some against the backfill's wish for its logins, the others for new logins."""
    url, sent = system.stack.environment["REDIS_URL"], []
    for gap in gaps:
        login = next(contrary, None) if random.random() < CONTRADICTING else None
        time.sleep(gap)
        one = Sent(login or str(uuid4()), time.monotonic_ns() // 1000, wants_active=login is None)
        sent.append(one)
        publish("linked" if one.wants_active else "inactive", login_id=one.login_id, redis_url=url)
    return sent


def _milliseconds(sent: Sequence[Sent], calls: Sequence[Call], delay_ms: float) -> list[float]:
    """Return for each event the time until the answer to the first call with its wish, infinite if there was none.

    The stub answers `delay_ms` after a call's arrival.
    """
    wanted = {one.login_id for one in sent}
    by_login: dict[str, list[Call]] = {}
    for call in calls:
        if call.login_id in wanted:
            by_login.setdefault(call.login_id, []).append(call)
    found = []
    for one in sent:
        arrivals = [
            call.at_us
            for call in by_login.get(one.login_id, [])
            if call.wants_active is one.wants_active and call.at_us >= one.at_us
        ]
        found.append((min(arrivals) - one.at_us) / 1000 + delay_ms if arrivals else float("inf"))
    return found


def _judge_conflicts(backfill: _Backfill, stub: Stub, course: Course, conflicts: Sequence[Sent], furthest: int) -> None:
    """Drain the backfill past every contradicted login, and count the logins whose last call has the wrong wish."""
    backfill.resume()
    if not wait_until(lambda: backfill.fed() > furthest, seconds=WITHIN_SECONDS + furthest / 400):
        raise AssertionError("the backfill did not pass the contradicted logins in time")
    backfill.rest()
    last = {call.login_id: call.wants_active for call in stub.calls()}
    course.contradicting = len(conflicts)
    course.lost_conflicts = sum(last.get(one.login_id) is not one.wants_active for one in conflicts)
    course.superseded = backfill.superseded()


def _report(courses: Sequence[Course], rows: int) -> str:
    rounds, lines, verdicts = len(courses[0].taken["idle"]), [], ""
    for course in courses:
        name = f"{float(course.ceiling):,.0f}/s, {course.delay_ms:g} ms"
        pooled = {kind: [one for each in course.taken[kind] for one in each] for kind in KINDS}
        for kind in KINDS:
            values = pooled[kind]
            drained = spread(course.drained_per_second) if kind == "beside" else "-"
            figures = (f"{quantile(values, share):.1f}" for share in (0.5, 0.9, 0.99, 1))
            lines.append((f"{name}, {kind}", len(values), *figures, values.count(float("inf")), drained))
        ratio = quantile(pooled["beside"], 0.99) / quantile(pooled["idle"], 0.99)
        each = [
            quantile(beside, 0.99) / quantile(idle, 0.99)
            for idle, beside in zip(course.taken["idle"], course.taken["beside"], strict=True)
        ]
        text = f"{name}: p99 beside a backfill {ratio:.2f}x that of an idle system (rounds: {spread(each, 2)})"
        verdicts += verdict(f"{text}, goal at most {RATIO_GOAL:g}", is_met=ratio <= RATIO_GOAL)
        won = course.contradicting - course.lost_conflicts
        verdicts += verdict(
            f"{name}: {won} of {course.contradicting} live events that contradicted the backfill won "
            f"({course.superseded} rows superseded)",
            is_met=not course.lost_conflicts and course.contradicting > 0,
        )
    text = f"## Live events beside a backfill of {rows:,} rows, {rounds} rounds, ms from publish to the answer\n\n"
    headings = ("ceiling, delay, block", "events", "p50", "p90", "p99", "max", "never", "rows/s drained")
    return text + table(headings, lines) + "\n" + verdicts
