"""Backfills under kills: the loading command, all workers and Redis are killed, and every row must be reported
exactly.

The file has duplicate, unreadable and unknown logins and logins that live events switch. The command that loads it
is killed and repeated. While the backfill drains, all workers are killed at once, several times, and live events
contradict it. Then a second backfill is paused, resumed and cancelled under load.
"""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from redis.exceptions import RedisError

from sandbox.stack import wait_until
from tests.chaos.all_workers import AllWorkers
from tests.chaos.backfill_command import Commands, load_through_kills
from tests.chaos.backfill_judgement import flags_of, judge_ledger, judge_rows, judge_second_start
from tests.chaos.backfill_rows import Drawn, Kind, draw_rows, events_before, events_beside
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from tests.chaos.steering import steer
from tests.chaos.traffic import Event
from tests.people import ANN
from tests.waiting import eventually
from worker.backfill.models import Backfill, RowOutcome, Status

SETTINGS = {"FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "1", "FLINKS_MAX_IN_FLIGHT": "40"}
STREAM = "account-events:stream"
FAULTS = (
    {"knob": "latency", "milliseconds": 30, "jitter_ms": 40},
    {"knob": "retry_later", "probability": 0.02},
    {"knob": "server_error", "probability": 0.01},
    {"knob": "reset", "probability": 0.01, "commits": True},
)


def backfill(
    folder: Path,
    *,
    rows: int = 20_000,
    kills: int = 10,
    start_kills: int = 10,
    redis_kills: int = 2,
    steered_rows: int = 20_000,
    workers: int = 2,
    calls_per_second: int = 200,
    seed: int,
    say: Say,
) -> Report:
    """Prove that a backfill report is exact after kills; `redis_kills` 1: while it drains, 2: while it loads too."""
    sizes = {"rows": rows, "kills": kills, "start_kills": start_kills, "redis_kills": redis_kills}
    sizes |= {"steered_rows": steered_rows, "workers": workers, "calls_per_second": calls_per_second, "seed": seed}
    report = Report("A backfill, killed", sizes)
    chance = Random(seed)
    drawn = draw_rows(rows, chance)
    with Scene(folder, SETTINGS | {"FLINKS_CALLS_PER_SECOND": str(calls_per_second)}) as scene:
        scene.emulator.unknown_logins(*(row.login for row in drawn if row.kind is Kind.UNKNOWN))
        crew = AllWorkers(scene, workers)
        crew.start()
        before = events_before(drawn, chance)
        _send(scene, before)
        eventually(lambda: scene.is_at_rest() and _recorded(scene) == len(before), seconds=60, describe="rest")
        calls_before = len(scene.emulator.calls())
        scene.emulator.faults(*(fault | {"seed": chance.getrandbits(31)} for fault in FAULTS))
        commands = Commands(scene, drawn)
        break_redis = crew.break_redis if redis_kills > 1 else None
        found = load_through_kills(commands, start_kills, chance, say, break_redis=break_redis)
        report.figures["starts killed, by what the backfill was then"] = dict(commands.killed)
        loading = sum(count for state, count in commands.killed.items() if state == Status.LOADING)
        report.expect(loading > start_kills // 3, f"only {loading} starts were killed while they loaded")
        sent_at = _drain_through_kills(scene, crew, found, drawn, kills, chance, report, say)
        judge_second_start(commands, report)
        judge_rows(scene, commands, found, drawn, sent_at, report)
        judge_ledger(scene, drawn, calls_before, report)
        if steered_rows:
            scene.emulator.faults(FAULTS[0])
            steer(scene, steered_rows, calls_per_second, chance, report, say)
    return report


def _drain_through_kills(
    scene: Scene,
    crew: AllWorkers,
    found: Backfill,
    drawn: list[Drawn],
    kills: int,
    chance: Random,
    report: Report,
    say: Say,
) -> dict[str, float]:
    """Kill `kills` times while rows wait and calls are in flight; returns when each live event was sent."""
    sender = _Sender(scene, found.id, events_beside(drawn, chance))
    thread = threading.Thread(target=sender.run, name="live-events")
    thread.start()
    hit: Counter[str] = Counter()
    paused_after = kills // 2
    try:
        for number in range(kills):
            target = int((number + chance.random()) / (kills + 0.5) * found.rows)
            state = eventually(lambda: _is_mid_way(scene, found.id, target), seconds=300, describe="the next kill")  # noqa: B023
            hit.update(state)
            if number == kills - 1 and report.sizes["redis_kills"]:
                crew.break_redis()
                hit["Redis"] += 1
            if number == paused_after:
                _paused_through_a_kill(scene, crew, found.id, drawn, report)
            else:
                crew.kill()
            say(f"all workers killed {number + 1} times; {_counts(scene, found.id)}")
    finally:
        sender.ends = True
        thread.join()
    report.figures["all workers killed"] = f"{kills} times, {hit['waiting']} while rows waited, "
    report.figures["all workers killed"] += f"{hit['in flight']} while calls were in flight"
    report.figures["Redis killed while it drained"] = hit["Redis"]
    report.expect(hit["waiting"] == hit["in flight"] == kills, f"kills hit no work: {dict(hit)}")
    ends = scene.services.backfills
    is_over = wait_until(
        lambda: ends.get(found.id).status is Status.FINISHED and scene.is_at_rest(), seconds=60 + found.rows / 50
    )
    report.expect(is_over, f"it did not end: {_counts(scene, found.id)}")
    report.figures["leases lost"] = int(scene.redis.hget("nightly:tally:toolbox", "leases_lost") or 0)
    report.expect(report.figures["leases lost"], "no kill left a call behind")
    return sender.sent_at


def _is_mid_way(scene: Scene, backfill_id: str, target: int) -> list[str]:
    """Return what a kill would hit now; empty until enough rows are handed over and calls are in flight."""
    one = scene.services.backfills.get(backfill_id)
    if one.fed < target or not scene.in_flight():
        return []
    return ["in flight"] + (["waiting"] if one.counts[RowOutcome.WAITING] else [])


def _paused_through_a_kill(
    scene: Scene, crew: AllWorkers, backfill_id: str, drawn: list[Drawn], report: Report
) -> None:
    """Pause, kill everything, and start workers that do not read the backfill: rows handed over are still called."""
    store = scene.services.backfills
    store.pause(backfill_id, by=ANN)
    crew.kill()

    def is_done() -> bool:
        one = store.get(backfill_id)
        return one.fed + one.counts[RowOutcome.WAITING] == one.rows and scene.is_at_rest()

    eventually(is_done, seconds=60, describe="the end of what was handed over")
    seen, one = len(scene.emulator.calls()), store.get(backfill_id)
    extra = [Event(f"while-paused-{number}", True, 0, f"evt-{number:016x}") for number in range(3)]  # noqa: FBT003
    _send(scene, extra)
    eventually(lambda: _called(scene, extra), seconds=20, describe="live events while it is paused")
    others = {row.login for row in drawn} & {call.login_id for call in scene.emulator.calls()[seen:] if call.wish}
    report.expect(not others, f"{len(others)} rows were called while it was paused and nothing was handed over")
    report.expect(store.get(backfill_id).fed == one.fed < one.rows, "rows were handed over while it was paused")
    report.expect(store.get(backfill_id).status is Status.PAUSED, "the pause did not survive the kill")
    store.resume(backfill_id, by=ANN)


def _called(scene: Scene, events: list[Event]) -> bool:
    flags = flags_of(scene)
    return all(flags.get(event.login) is event.wants_active for event in events)


class _Sender:
    """A thread that sends the racing events while the backfill advances; all are sent by its end."""

    def __init__(self, scene: Scene, backfill_id: str, events: list[Event]) -> None:
        self._scene, self._id, self._events = scene, backfill_id, events
        self.sent_at: dict[str, float] = {}
        self.ends = False

    def run(self) -> None:
        """Send; wait while Redis is unavailable."""
        while not (self.ends and len(self.sent_at) == len(self._events)):
            wait_until(lambda: self._due() or self.ends, seconds=1)
            with suppress(RedisError, OSError):
                for event in self._due():
                    _send(self._scene, [event])
                    self.sent_at[event.login] = time.time()

    def _due(self) -> list[Event]:
        """Return the events that are due and not sent yet; none while Redis is unavailable."""
        with suppress(RedisError, OSError):
            one = self._scene.services.backfills.get(self._id)
            wanted = len(self._events) * (1 if self.ends else one.fed / max(one.rows, 1))
            return self._events[len(self.sent_at) : int(wanted)]
        return []


def _send(scene: Scene, events: list[Event]) -> None:
    with scene.redis.pipeline(transaction=False) as pipeline:
        for event in events:
            pipeline.xadd(STREAM, {"event": json.dumps(event.document())})
        pipeline.execute()


def _recorded(scene: Scene) -> int:
    return int(scene.redis.hget("nightly:tally:toolbox", "recorded") or 0)


def _counts(scene: Scene, backfill_id: str) -> str:
    one = scene.services.backfills.get(backfill_id)
    return f"{one.status.value}, {one.fed} of {one.rows} handed over, {dict(one.counts)}"
