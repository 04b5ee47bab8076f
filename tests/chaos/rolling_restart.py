"""A rolling restart under load goes unnoticed: no event waits longer than a few seconds for its call.

Two workers are stopped warmly and started again in turn while events keep coming. Each event is timed from just
before its XADD until the emulator commits its wish or a newer one.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

from redis import Redis

from sandbox.emulator.calls import Call
from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, wait_until
from tests.brief_stack import BriefStack
from tests.chaos.report import Report, Say

EVERY_LOGIN_SECONDS = 10
"""Seconds between two events of a login, on and off in turn, so that the wish of a call identifies its event."""
STOP_SECONDS = 45


@dataclass
class Sent:
    """One event: its planned time of publication in seconds since 1970, and its wish."""

    login: str
    wants_active: bool
    at: float


@dataclass
class Publisher:
    """A thread that adds events to the stream at an even pace until it is stopped."""

    url: str
    events_per_second: float
    chance: random.Random
    sent: list[Sent] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Publish; after a delay of the machine it catches up, and times each event from when it was sent."""
        logins = [str(uuid.UUID(int=self.chance.getrandbits(128))) for _ in range(self._size())]
        wishes = dict.fromkeys(logins, False)
        with Redis.from_url(self.url) as client:
            began_at = time.monotonic()
            while not self._stopping.is_set():
                login = logins[len(self.sent) % len(logins)]
                wishes[login] = not wishes[login]
                self.sent.append(Sent(login, wishes[login], time.time()))
                client.xadd("account-events:stream", {"event": _body(self.sent[-1])})
                ahead = began_at + len(self.sent) / self.events_per_second - time.monotonic()
                self._stopping.wait(max(ahead, 0))

    def stop(self) -> None:
        """Let it end."""
        self._stopping.set()

    def _size(self) -> int:
        return max(int(self.events_per_second * EVERY_LOGIN_SECONDS), 1)


def rolling_restart(
    folder: Path,
    *,
    events_per_second: float = 200,
    seconds_between: float = 5,
    restarts: int = 6,
    limit_seconds: float = 5,
    seed: int = 1,
    say: Say,
) -> Report:
    """Restart two workers in turn under load; broken where an event waited longer than `limit_seconds`."""
    sizes = {"events_per_second": events_per_second, "seconds_between": seconds_between, "restarts": restarts}
    report = Report("rolling restart", sizes | {"limit_seconds": limit_seconds, "seed": seed})
    overrides = {"FLINKS_CALLS_PER_SECOND": str(int(events_per_second * 4)), "FLINKS_TIMEOUT_SECONDS": "5"}
    with BriefStack(folder / "stack", isolated=True, overrides=overrides, workers=2) as stack:
        control = EmulatorControl(str(stack.emulator_url))
        control.faults({"knob": "latency", "milliseconds": 50, "jitter_ms": 100})
        publisher = Publisher(stack.environment["REDIS_URL"], events_per_second, random.Random(seed))
        thread = threading.Thread(target=publisher.run, name="publisher")
        thread.start()
        try:
            stops = [restart_oldest(stack, seconds_between, say) for _ in range(restarts)]
            time.sleep(seconds_between)
        finally:
            publisher.stop()
            thread.join()
        wait_until(lambda: not unapplied(publisher.sent, control.calls()), seconds=60)
        judge(report, publisher.sent, control.calls(), limit_seconds)
    report.figures["warm stops, seconds"] = ", ".join(f"{seconds:.1f}" for seconds in stops)
    return report


def waits(sent: Iterable[Sent], calls: Iterable[Call]) -> list[float | None]:
    """Return for each event the seconds until its wish, or a newer one of its login, was committed; None: never."""
    commits: dict[str, list[Call]] = {}
    for call in calls:
        if call.committed_at is not None and call.login_id is not None:
            commits.setdefault(call.login_id, []).append(call)
    found: list[float | None] = []
    newer: dict[str, float] = {}
    for event in reversed(list(sent)):
        own = [
            call.committed_at
            for call in commits.get(event.login, [])
            if call.wish is event.wants_active and call.committed_at is not None and call.committed_at >= event.at
        ]
        ends = [*own, *([newer[event.login]] if event.login in newer else [])]
        if ends:
            newer[event.login] = min(ends)
        found.append(min(ends) - event.at if ends else None)
    return found[::-1]


def restart_oldest(stack: EmbeddedStack, seconds_between: float, say: Say) -> float:
    """Wait, stop the oldest worker warmly, start another; returns the seconds that the stop took."""
    time.sleep(seconds_between)
    oldest, began_at = stack.workers[0], time.monotonic()
    code = stack.stop_process(oldest, STOP_SECONDS)
    took = time.monotonic() - began_at
    stack.start_worker()
    say(f"{oldest.name} stopped warmly in {took:.1f} s (exit code {code}), and another started")
    return took


def unapplied(sent: Sequence[Sent], calls: Iterable[Call]) -> int:
    """Return how many events have no call yet."""
    return sum(wait is None for wait in waits(sent, calls))


def judge(report: Report, sent: Sequence[Sent], calls: Sequence[Call], limit_seconds: float) -> None:
    """Record how long events waited; broken if one was lost or waited too long."""
    found = waits(sent, calls)
    known = sorted(wait for wait in found if wait is not None)
    missing, late = len(found) - len(known), sum(wait > limit_seconds for wait in known)
    cuts = quantiles(known, n=100) if len(known) > 1 else [0.0] * 99
    report.figures |= {
        "events": len(sent),
        "calls": len(calls),
        "waited, seconds": f"p50 {cuts[49]:.2f}, p99 {cuts[98]:.2f}, max {max(known, default=0):.2f}",
        "late": late,
    }
    report.expect(len(sent) > 100, f"only {len(sent)} events were sent, which proves nothing")
    report.expect(not missing, f"{missing} events were never applied")
    report.expect(not late, f"{late} events waited longer than {limit_seconds:g} s")


def _body(event: Sent) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"evt-{uuid.uuid4()}",
            "source": "chaos",
            "type": "account.linked" if event.wants_active else "account.inactive",
            "time": datetime.fromtimestamp(event.at, UTC).isoformat(),
            "data": {"loginId": event.login},
        }
    )
