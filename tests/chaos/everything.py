"""The main scenario: everything that can be killed, stopped, cut or made to fail does so at the same time.

Events arrive out of order and some twice, through the stream, in batches and as Celery messages. A seeded schedule
hits workers, their children, Redis and every connection to it, and one Flinks call in ten fails. No event may be
missing.
"""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from sandbox.stack import wait_until
from tests.chaos.crew import Crew
from tests.chaos.flinks_mix import troubles
from tests.chaos.judgement import judge_calls, judge_claims, judge_events, judge_secrets, judge_wishes
from tests.chaos.publishing import Publisher
from tests.chaos.recovery import Recovery
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from tests.chaos.schedule import Disruption, Kind, draw_disruptions
from tests.chaos.traffic import Traffic, draw
from tests.chaos.trouble import Trouble
from tests.waiting import eventually

TIMEOUT_SECONDS = 1.0
SETTINGS = {
    "FLINKS_TIMEOUT_SECONDS": f"{TIMEOUT_SECONDS:g}",
    "FLINKS_SETTLE_SECONDS": f"{2 * TIMEOUT_SECONDS:g}",
    "FLINKS_MAX_IN_FLIGHT": "40",
    "LOG_FORMAT": "json",
}
WORKERS, SLOTS = 2, 3
STEP_SECONDS = 0.02
TAKEN_IN_SECONDS = 30.0
RECOVERY_SECONDS = 30.0
FAILED_SHARE = 0.03
ORPHAN_SECONDS = 40.0
"""A child of a killed worker finishes its slice, of 30 s at most, and its calls."""
SAY_EVERY_SECONDS = 15.0


def everything_at_once(
    folder: Path,
    *,
    events: int = 100_000,
    logins: int = 5_000,
    kills: int = 100,
    stops: int = 10,
    redis_restarts: int = 10,
    fillings: int = 5,
    cuts: int = 100,
    seconds: float = 900,
    calls_per_second: int = 200,
    seed: int,
    say: Say,
) -> Report:
    """Prove promises 1 to 7 while everything fails, for at least `seconds`."""
    disruption_sizes = {
        "kills": kills,
        "stops": stops,
        "redis_restarts": redis_restarts,
        "fillings": fillings,
        "cuts": cuts,
        "seconds": seconds,
    }
    sizes = {"events": events, "logins": logins, **disruption_sizes, "calls_per_second": calls_per_second, "seed": seed}
    report = Report("Everything at once", sizes)
    chance = Random(seed)
    traffic = draw(events, logins, chance)
    with Scene(folder, SETTINGS | {"FLINKS_CALLS_PER_SECOND": str(calls_per_second)}) as scene:
        disruptions = draw_disruptions(**disruption_sizes, lease_seconds=scene.settings.lease_seconds, chance=chance)
        scene.emulator.unknown_logins(*traffic.unknown)
        known = [login for login in traffic.newest if login not in traffic.unknown]
        scene.emulator.faults(*troubles(TIMEOUT_SECONDS, events // 2000, known, chance))
        trouble = _live_through(scene, traffic, disruptions, seconds, chance, report, say)
        say("at rest; judging")
        judge_events(scene, traffic, redis_restarts, report)
        judge_wishes(scene, traffic, report)
        calls = scene.emulator.calls()
        judge_claims(scene, traffic, calls, redis_restarts, report)
        judge_calls(scene, calls, trouble, report)
        judge_secrets(scene, traffic, report)
    return report


def _live_through(
    scene: Scene,
    traffic: Traffic,
    disruptions: list[Disruption],
    seconds: float,
    chance: Random,
    report: Report,
    say: Say,
) -> Trouble:
    """Publish events and inject faults, then remove all faults and wait for rest."""
    crew = Crew(scene.stack, size=WORKERS, slots=SLOTS)
    recovery = Recovery(scene.calls_settled, scene.is_work_due)
    trouble = Trouble(scene, crew, recovery, disruptions=disruptions, seconds=seconds, chance=chance)
    key = scene.services.vault.public_keys[0]
    with Publisher(scene.server.url, traffic.parcels, lambda: trouble.progress, key) as publisher:
        _until(trouble.step, seconds=3 * seconds + 120, tell=lambda: trouble.tell(say))
        _until(lambda: trouble.step() and publisher.is_done, seconds=120, tell=lambda: trouble.tell(say))
        _judge_faults(scene, report)
        say("every disruption was injected, every event was sent; emulator faults removed")
        lifted_at = time.monotonic()
        scene.emulator.faults()
        _await_intake(scene, traffic, trouble, report)
    patience = 60 + len(traffic.events) / 100
    eventually(lambda: trouble.step() and scene.is_at_rest(), seconds=patience, describe="rest")
    eventually(lambda: not scene.emulator.stats().late_writes_pending, describe="the last late write")
    report.figures["at rest after the last disruption"] = f"{time.monotonic() - lifted_at:.1f} s"
    _judge_disruptions(trouble, crew, recovery, disruptions, report)
    report.figures["events sealed by their producer"] = sum(event.is_sealed for event in traffic.events)
    report.figures["errors of the producer"] = dict(publisher.errors)
    report.figures["bytes lost in silences"] = scene.middleman.bytes_swallowed
    return trouble


def _until(condition: Callable[[], object], *, seconds: float, tell: Callable[[], None]) -> None:
    said_at = time.monotonic()

    def step() -> bool:
        nonlocal said_at
        if time.monotonic() - said_at > SAY_EVERY_SECONDS:
            said_at = time.monotonic()
            tell()
        return bool(condition())

    if not wait_until(step, seconds=seconds, every_seconds=STEP_SECONDS):
        raise AssertionError(f"not over within {seconds:.0f} s")


def _await_intake(scene: Scene, traffic: Traffic, trouble: Trouble, report: Report) -> None:
    """Wait until every message is recorded, and count the missing Celery messages: kombu used to lose some."""
    sent_by_celery = {parcel.events[0].id for parcel in traffic.parcels if parcel.is_celery}

    def missing() -> set[str]:
        return {event_id for event_id in sent_by_celery if not scene.witness.is_recorded(event_id)}

    is_taken_in = wait_until(
        lambda: trouble.step() and scene.is_taken_in() and not missing(),
        seconds=TAKEN_IN_SECONDS + len(traffic.events) / 100,
    )
    report.figures["Celery messages lost"] = f"{len(missing())} of {len(sent_by_celery)}"
    report.expect(is_taken_in, "not every message was recorded")


def _judge_faults(scene: Scene, report: Report) -> None:
    """A run proves little unless every kind of fault occurred."""
    fired = [(fault.fault.knob, fault.fired) for fault in scene.emulator.fault_reports()]
    report.figures["faults of Flinks"] = " ".join(f"{knob}:{count}" for knob, count in fired)
    failed = sum(count for _, count in fired[2:])
    report.expect(fired[1][1], "no late write was made")
    settled = scene.calls_settled()
    report.expect(failed > settled * FAILED_SHARE, f"only {failed} of {settled} calls failed")


def _judge_disruptions(
    trouble: Trouble, crew: Crew, recovery: Recovery, disruptions: list[Disruption], report: Report
) -> None:
    report.figures["injected"] = {str(kind): trouble.injected[kind] for kind in Kind}
    report.expect(trouble.injected.total() == len(disruptions), "not every disruption was injected")
    report.expect(
        not trouble.injected_idle, f"{trouble.injected_idle} disruptions were injected while nothing was in flight"
    )
    stops = sum(trouble.injected[kind] for kind in (Kind.STOP_CHILD, Kind.STOP_WORKER, Kind.STOP_ALL))
    report.expect(crew.woken == stops, f"only {crew.woken} of {stops} stopped processes were alive to be woken")
    report.figures["workers started"] = crew.started
    report.expect(not crew.died_by_themselves, f"workers died by themselves: {crew.died_by_themselves}")
    report.figures["children ran after the kill of their parent for at most"] = f"{crew.orphans_lived_seconds:.1f} s"
    has_none = wait_until(lambda: not crew.has_orphans(), seconds=ORPHAN_SECONDS)
    report.expect(has_none, "children of a killed worker are still alive")
    deaf = crew.those_who_do_not_answer()
    report.expect(not deaf, f"alive, but not consuming: {deaf}")
    report.figures |= recovery.figures()
    report.expect(recovery.worst < RECOVERY_SECONDS, f"it took {recovery.worst:.0f} s to settle again")
