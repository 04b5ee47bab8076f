"""Judges a chaos run: each promise of docs/reliability.md by its number."""

import functools
import re
from collections import Counter
from collections.abc import Sequence

from sandbox.emulator.calls import Call
from tests.chaos.report import Report
from tests.chaos.scene import AUTH_KEY, INSTANCE, Scene
from tests.chaos.seen_by_flinks import fastest_second, most_at_once, overlaps_within_a_lease
from tests.chaos.story import judge, stories
from tests.chaos.traffic import BROKEN_CANARY, CANARIES, UNKNOWN_CANARY, Traffic
from tests.chaos.trouble import Trouble
from tests.leaks import leaks, logs_in, output_of, redis_contents
from tests.ledger_calls import list_letters
from worker.ledger.login_fields import read_values, stored_names

GUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMMANDS = (["status"], ["doctor"], ["dead-letters", "list", "--json"])
UNHEARD_A_RESTART = 200
"""A killed Redis may lose the reply of one script call, for the witness as well as for the worker."""
ON_THE_WAY = 1.5
"""Tolerance for calls that a busy machine bunches on their way. The ledger keeps the rate exactly; a limit kept by each
worker alone would show twice the rate."""
_READ = ("event_id", "wish", "state", "confirmed")
ENDS = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")


def judge_events(scene: Scene, traffic: Traffic, restarts: int, report: Report) -> None:
    """Promises 1 and 5: no event is lost, and every one is counted once at its end."""
    lost = [event.id for event in traffic.events if not scene.witness.is_recorded(event.id)]
    report.expect(not lost, f"promise 1: {len(lost)} events lost, such as {lost[:3]}")
    times = scene.witness.times_recorded
    report.figures["events recorded, each seen by its id"] = f"{len(times)} of {len(traffic.events)}"
    report.figures["recordings, deliveries in double included"] = times.total()
    tally = scene.services.views.status()["instances"][INSTANCE]["tally"]
    ended = sum(tally.get(name, 0) for name in ENDS)
    report.expect(ended == tally["recorded"], f"promise 5: {tally['recorded']} recorded, {ended} ended")
    unheard = tally["recorded"] - times.total()
    report.figures["recordings whose reply was lost with Redis"] = unheard
    report.expect(0 <= unheard <= UNHEARD_A_RESTART * restarts, f"promise 5: {unheard} more counted than seen")
    report.figures["tally"] = {name: tally[name] for name in sorted(tally)}
    expected = Counter({"invalid_event": traffic.malformed, "INVALID_LOGIN": len(traffic.unknown)})
    found = list_letters(scene.services.letters)
    letters = Counter(letter.code for letter in found)
    reasons = Counter((letter.source, letter.reason) for letter in found if letter.reason)
    text = f"promise 5: dead letters {dict(letters)}, expected {dict(expected)}; rejected: {dict(reasons)}"
    report.expect(letters == +expected, text)


def judge_wishes(scene: Scene, traffic: Traffic, report: Report) -> None:
    """Promise 2: the last confirmed call of each login is its newest wish, at Flinks and in the ledger."""
    known = {login: event for login, event in traffic.newest.items() if login not in traffic.unknown}
    flags = {login: flag.is_activated for logins in scene.emulator.state().values() for login, flag in logins.items()}
    wrong = [login for login in known.keys() | flags.keys() if flags.get(login) is not _wish(known, login)]
    wrong_references = [scene.reference(login) for login in wrong[:3]]
    report.expect(not wrong, f"promise 2: {len(wrong)} wrong flags at the end, such as {wrong_references}")
    report.figures["logins whose flag is their newest wish"] = f"{len(known) - len(wrong)} of {len(known)}"
    entries = _entries(scene, list(traffic.newest))
    stale = [
        reference
        for (reference, got), (login, newest) in zip(entries, traffic.newest.items(), strict=True)
        if got != _expected_entry(newest.id, wants_active=newest.wants_active, is_known=login in known)
    ]
    report.expect(not stale, f"promise 2: {len(stale)} logins whose entry is not their newest event: {stale[:3]}")


def _wish(known: dict[str, object], login: str) -> bool | None:
    return getattr(known.get(login), "wants_active", None)


def _expected_entry(event_id: str, *, wants_active: bool, is_known: bool) -> list[bytes | None]:
    wish = b"1" if wants_active else b"0"
    return [event_id.encode(), wish, b"done" if is_known else b"dead", wish if is_known else None]


def _entries(scene: Scene, logins: Sequence[str]) -> list[tuple[str, list[bytes | None]]]:
    references = [scene.reference(login) for login in logins]
    with scene.redis.pipeline(transaction=False) as pipeline:
        for reference in references:
            pipeline.hmget(f"nightly:login:{reference}", stored_names(_READ))
        found = [read_values(_READ, values) for values in pipeline.execute()]
    return [
        (reference, [*map(entry.get, _READ[:3]), _wish_of(entry.get("confirmed"))])
        for reference, entry in zip(references, found, strict=True)
    ]


def _wish_of(confirmed: bytes | None) -> bytes | None:
    """Return the wish of the last confirmed call, which the ledger stores as `<revision>:<wish>:<ms>`."""
    return confirmed.split(b":")[1] if confirmed else None


def judge_calls(scene: Scene, calls: Sequence[Call], trouble: Trouble, report: Report) -> None:
    """Promises 4 and 6: one call at a time for a login, within the rate and the limit, as Flinks saw it."""
    lease, ceiling = scene.settings.lease_seconds, scene.settings.flinks_calls_per_second
    stats = scene.emulator.stats()
    within = overlaps_within_a_lease(calls, lease)
    report.expect(not within, f"promise 4: overlaps within a lease: {within[:5]}")
    report.expect(calls[0].seq == 1, "the emulator kept only the last calls: overlaps may be missing")
    report.figures["calls"] = f"{stats.load.calls}, {stats.by_status.get('200', 0)} answered with 200"
    report.figures["overlaps"] = f"{len(within)} within a lease, {stats.overlaps} in all"
    most = most_at_once(calls, lease)
    report.figures["most calls in flight"] = f"{most} of {scene.settings.flinks_max_in_flight}"
    report.expect(most <= scene.settings.flinks_max_in_flight, f"promise 6: {most} calls in flight")
    fastest, _ = fastest_second(scene.witness.claimed_at)
    report.figures["most calls handed out in any second"] = f"{fastest} of {ceiling:g}"
    report.expect(fastest <= ceiling, f"promise 6: {fastest} calls handed out within one second")
    report.expect(fastest > ceiling / 2, f"only {fastest} calls in the busiest second: the ceiling was not tried")
    seen, at = fastest_second([call.started_monotonic for call in calls])
    report.figures["most calls seen in any second"] = f"{seen}, {trouble.before(at)}"
    report.expect(seen <= ceiling * ON_THE_WAY, f"promise 6: {seen} calls within one second, {trouble.before(at)}")
    gate = scene.services.views.gate(INSTANCE)
    closed = [place for place, text in logs_in(scene.folder) if b"gate_closed" in text]
    report.expect(gate["state"] == "open" and not closed, f"the gate was closed: {gate}, {closed}")


def judge_claims(scene: Scene, traffic: Traffic, calls: Sequence[Call], restarts: int, report: Report) -> None:
    """Promise 3: every call was claimed before, in time, and with the newest wish recorded by then."""
    reference_of = functools.cache(scene.reference)
    told = stories(scene.witness.story, {event.id: event for event in traffic.events}, reference_of)
    found = judge(
        calls,
        told,
        reference_of,
        lease_seconds=scene.settings.lease_seconds,
        redis_killed_at=scene.redis_killed_at,
    )
    report.figures["claims seen"] = sum(len(story.claims) for story in told.values())
    report.figures["calls whose claim was lost with Redis, for the witness"] = len(found.unheard)
    report.expect(len(found.unheard) <= UNHEARD_A_RESTART * restarts, f"promise 3: {len(found.unheard)} claims unheard")
    report.expect(not found.stale, f"promise 3: {len(found.stale)} calls with an old wish: {found.stale[:5]}")
    report.expect(not found.late, f"promise 3: {len(found.late)} calls began after their lease: {found.late[:5]}")
    report.expect(
        not found.unclaimed, f"promise 3: {len(found.unclaimed)} calls without a claim: {found.unclaimed[:5]}"
    )


def judge_secrets(scene: Scene, traffic: Traffic, report: Report) -> None:
    """Promise 7: no loginId and no key in anything that was written."""
    written = [*logs_in(scene.folder), *redis_contents(scene.redis)]
    for command in COMMANDS:
        text = output_of(command, environment=scene.stack.environment, folder=scene.stack.folder)
        written.append((f"nightly {' '.join(command)}", text))
    size = sum(len(text) for _, text in written)
    report.figures["searched for secrets"] = f"{size / 1e6:.1f} MB in {len(written)} places"
    reference = scene.reference(UNKNOWN_CANARY).encode()
    report.expect(any(reference in text for _, text in written), "the search saw no login's reference: it is blind")
    found = leaks([*CANARIES, UNKNOWN_CANARY, BROKEN_CANARY, AUTH_KEY], written)
    report.expect(not found, f"promise 7: {found}")
    logins = {login.encode() for login in traffic.newest}
    everywhere = {guid for _, text in written for guid in GUID.findall(text.lower())} & logins
    report.expect(not everywhere, f"promise 7: {len(everywhere)} places contain a loginId of the run")
