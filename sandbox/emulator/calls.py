"""The log of all calls: time, login, result, and whether two calls of a login overlapped.

Counters are exact since the last reset; the calls themselves are kept up to `KEPT_CALLS`, and the oldest are dropped
first. `*_at` are seconds since 1970; `*_monotonic` use the machine's monotonic clock, comparable between processes.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, Self

from sandbox.emulator.effects import Asked

KEPT_CALLS = 200_000


class Moment(NamedTuple):
    """One instant on both clocks, in seconds."""

    wall: float
    monotonic: float

    @classmethod
    def now(cls) -> Self:
        """Read both clocks."""
        return cls(time.time(), time.monotonic())


@dataclass(slots=True)
class Call:
    """One call to SetScheduledRefresh. `status` is None if no status line was sent."""

    seq: int
    customer_id: str
    login_id: str | None
    wish: bool | None
    started_at: float
    started_monotonic: float
    ended_at: float | None = None
    ended_monotonic: float | None = None
    ending: str | None = None
    """answered, client_left, cut, reset or closed; None while it is in flight."""
    status: int | None = None
    faults: tuple[str, ...] = ()
    overlapped_seq: int | None = None
    """A call for the same login that was still in flight when this one began."""
    committed_at: float | None = None
    committed_monotonic: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Load figures; `max_calls_per_second` is the maximum in any window of one second."""

    calls: int
    in_flight: int
    max_in_flight: int
    calls_last_second: int
    max_calls_per_second: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything counted since the last reset."""

    load: Load
    by_customer: dict[str, Load]
    by_status: dict[str, int]
    by_ending: dict[str, int]
    by_fault: dict[str, int]
    overlaps: int
    committed_writes: int
    late_writes: int
    """Writes committed after the client had left."""
    late_writes_pending: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls in order of arrival; `next_since` requests the next page, None if this is the last."""

    calls: list[Call]
    next_since: int | None
    dropped: int
    """Calls that are no longer kept."""


class Meter:
    """Counts calls, calls in flight and calls in the last second."""

    __slots__ = ("_starts", "calls", "in_flight", "max_in_flight", "max_per_second")

    def __init__(self) -> None:
        self._starts: deque[float] = deque()
        self.calls = self.in_flight = self.max_in_flight = self.max_per_second = 0

    def begin(self, monotonic: float) -> None:
        """Count a call that starts."""
        self.calls += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._starts.append(monotonic)
        self.max_per_second = max(self.max_per_second, self._last_second(monotonic))

    def end(self) -> None:
        """Count a call that ends."""
        self.in_flight -= 1

    def load(self, monotonic: float) -> Load:
        """Return the figures at that instant."""
        last_second = self._last_second(monotonic)
        return Load(self.calls, self.in_flight, self.max_in_flight, last_second, self.max_per_second)

    def _last_second(self, monotonic: float) -> int:
        while self._starts and self._starts[0] <= monotonic - 1:
            self._starts.popleft()
        return len(self._starts)


@dataclass(slots=True)
class CallLog:
    """The calls and their counters."""

    by_customer: dict[str, Meter]
    """One per customer that is counted separately."""
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    late_writes_pending: int = 0
    _total: Meter = field(default_factory=Meter)
    _by_status: Counter[str] = field(default_factory=Counter)
    _by_ending: Counter[str] = field(default_factory=Counter)
    _by_fault: Counter[str] = field(default_factory=Counter)
    _in_flight: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _overlaps: int = 0
    _commits: int = 0
    _late_commits: int = 0

    def begin(self, asked: Asked, now: Moment) -> Call:
        """Record a call that came in."""
        for meter in self._meters(asked.customer_id):
            meter.begin(now.monotonic)
        call = Call(self._total.calls, asked.customer_id, asked.login_id, asked.wish, now.wall, now.monotonic)
        if asked.login_id is not None:
            others = self._in_flight.setdefault((asked.customer_id, asked.login_id), [])
            if others:
                call.overlapped_seq = others[-1]
                self._overlaps += 1
            others.append(call.seq)
        self.calls.append(call)
        return call

    def strike(self, call: Call, knobs: tuple[str, ...]) -> None:
        """Record the faults that affected the call."""
        call.faults = knobs
        self._by_fault.update(knobs)

    def commit(self, call: Call, now: Moment) -> None:
        """Record that the call's write was made."""
        call.committed_at, call.committed_monotonic = now
        self._commits += 1
        self._late_commits += call.ended_at is not None

    def end(self, call: Call, ending: str, status: int | None, now: Moment) -> None:
        """Record how the connection saw the call's end."""
        call.ended_at, call.ended_monotonic = now
        call.ending, call.status = ending, status
        self._by_ending[ending] += 1
        self._by_status["none" if status is None else str(status)] += 1
        for meter in self._meters(call.customer_id):
            meter.end()
        if call.login_id is not None:
            others = self._in_flight[call.customer_id, call.login_id]
            others.remove(call.seq)
            if not others:
                del self._in_flight[call.customer_id, call.login_id]

    def _meters(self, customer_id: str) -> list[Meter]:
        own = self.by_customer.get(customer_id)
        return [self._total] if own is None else [self._total, own]

    def page(self, since: int, limit: int) -> CallPage:
        """Return up to `limit` calls whose seq is above `since`."""
        first_kept = self.calls[0].seq if self.calls else 1
        start = max(0, since + 1 - first_kept)
        calls = list(islice(self.calls, start, start + limit))
        has_more = start + limit < len(self.calls)
        return CallPage(calls, calls[-1].seq if has_more else None, first_kept - 1)

    def stats(self, now: Moment) -> Stats:
        """Return every counter."""
        return Stats(
            load=self._total.load(now.monotonic),
            by_customer={name: meter.load(now.monotonic) for name, meter in self.by_customer.items()},
            by_status=dict(self._by_status),
            by_ending=dict(self._by_ending),
            by_fault=dict(self._by_fault),
            overlaps=self._overlaps,
            committed_writes=self._commits,
            late_writes=self._late_commits,
            late_writes_pending=self.late_writes_pending,
        )
