"""Measures how soon pausing, resuming and cancelling a backfill take effect under load, as Flinks sees it."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from random import Random

from sandbox.stack import wait_until
from tests.chaos.backfill_command import Commands
from tests.chaos.backfill_rows import Drawn, Kind
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from tests.chaos.traffic import Event
from tests.waiting import eventually
from worker.backfill.models import Status

WITHIN_SECONDS = 5.0
LIVE_PER_SECOND = 50
LOAD_SECONDS, LOOK_SECONDS = 4.0, 0.5
QUIET_SECONDS = 6.0
"""Seconds without a call after which the calls have ended."""


def steer(scene: Scene, rows: int, calls_per_second: int, chance: Random, report: Report, say: Say) -> None:
    """Pause, resume and cancel a backfill while live events arrive; broken if one took five seconds or more."""
    logins = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(rows)]
    drawn = [Drawn(Kind.FRESH, line, f"{login},", login) for line, login in enumerate(logins, 2)]
    commands = Commands(scene, drawn)
    known = {one.id for one in commands.found()}
    commands.start()
    [backfill] = [one for one in commands.found() if one.id not in known]
    live = threading.Event()
    thread = threading.Thread(target=_live, args=(scene, live), name="live-events")
    thread.start()
    try:
        ours = set(logins)
        took = {}
        for word in ("pause", "resume", "cancel"):
            eventually(lambda: word == "resume" or _is_at_work(scene, backfill.id), seconds=30, describe="rows")  # noqa: B023
            before, since = scene.calls_settled(), time.monotonic()
            time.sleep(LOAD_SECONDS)
            pace = (scene.calls_settled() - before) / (time.monotonic() - since)
            took[word] = _effect(scene, ours, lambda: commands.run(word, backfill.id), ends=word != "resume")  # noqa: B023
            say(f"{word} took effect within {took[word]:.1f} s, at {pace:.0f} calls/s before")
    finally:
        live.set()
        thread.join()
    for word, seconds in took.items():
        report.figures[f"{word} under load took effect within"] = f"{seconds:.1f} s"
        report.expect(seconds < WITHIN_SECONDS, f"{word} took {seconds:.1f} s at {calls_per_second} calls/s")
    report.expect(backfill.status is Status.RUNNING, "the second backfill did not run")
    eventually(scene.is_at_rest, seconds=60, describe="rest")
    one = scene.services.backfills.get(backfill.id)
    report.expect(one.ended_at and one.fed < one.rows, "it was not cancelled while it ran")
    report.expect(one.counts["cancelled"] == one.rows - one.fed, f"counts of the cancelled one: {one.counts}")
    called = {call.login_id for call in scene.emulator.calls()} & ours
    report.expect(called == set(logins[: one.fed]), "the called rows are not those handed over")


def _is_at_work(scene: Scene, backfill_id: str) -> bool:
    one = scene.services.backfills.get(backfill_id)
    return one.status is Status.RUNNING and one.counts["applied"] > 0


class _Calls:
    """When the calls of these logins began, in seconds since 1970; used rarely, because it costs the emulator time."""

    def __init__(self, scene: Scene, ours: set[str]) -> None:
        self._scene, self._ours = scene, ours
        self._seen = len(scene.emulator.calls())
        self.at: list[float] = []

    def look(self) -> list[float]:
        """Return all since the start."""
        fresh = self._scene.emulator.calls(self._seen)
        self._seen = fresh[-1].seq if fresh else self._seen
        self.at += [call.started_at for call in fresh if call.login_id in self._ours]
        return self.at


def _effect(scene: Scene, ours: set[str], command: Callable[[], object], *, ends: bool) -> float:
    """Return the seconds from a command to the last call of these logins, or to the first one if it resumes."""
    calls, began = _Calls(scene, ours), time.time()
    command()
    if not ends:
        assert wait_until(calls.look, seconds=30, every_seconds=LOOK_SECONDS), "no call after it was resumed"
        return calls.at[0] - began

    def is_quiet() -> bool:
        return time.time() - max([began, *calls.look()]) > QUIET_SECONDS

    assert wait_until(is_quiet, seconds=120, every_seconds=LOOK_SECONDS), "the calls did not end"
    return max([began, *calls.at]) - began


def _live(scene: Scene, ends: threading.Event) -> None:
    number = 0
    while not ends.wait(1 / LIVE_PER_SECOND):
        event = Event(str(uuid.uuid4()), True, 0, f"evt-{number:08x}{0x5EED:08x}")  # noqa: FBT003
        scene.redis.xadd("account-events:stream", {"event": json.dumps(event.document())})
        number += 1
