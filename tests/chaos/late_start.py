"""A narrow case of promise 2: a call starts late, because the reply of Redis was late, and its worker dies at once.

A call may start up to five seconds after its claim. If its worker dies then, and Flinks makes the write as late as
possible, a login whose rest counts from its *claim* is called too early: the old wish lands last and stays.
"""

from pathlib import Path

from sandbox.stack import ManagedProcess, wait_until
from tests.chaos.everything import SETTINGS, TIMEOUT_SECONDS
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from tests.chaos.traffic import CANARIES, Event
from tests.waiting import eventually
from worker.intake.messages import CeleryMessage

REPLY_LATE_SECONDS = 4.85
"""Just before the latest start of the call."""
WRITE_LATE_SECONDS = 2.95 * TIMEOUT_SECONDS
"""Just within timeout + settle of the call."""
LOGIN, BYSTANDER, _ = CANARIES


def late_start(folder: Path, *, rounds: int = 5, seed: int, say: Say) -> Report:
    """Prove promise 2 for a call that starts late and loses its worker; nothing is drawn by `seed`."""
    report = Report("A call that begins late and loses its worker", {"rounds": rounds, "seed": seed})
    wrong = late_writes = 0
    with Scene(folder, SETTINGS) as scene:
        for _ in range(2):
            scene.stack.start_worker(concurrency=2)
        _record(scene, Event(BYSTANDER, wants_active=True, minute=0, id="evt-0000000000000000"))
        eventually(scene.is_at_rest, seconds=30, describe="rest")
        for number in range(rounds):
            late = {"knob": "latency", "milliseconds": 1000 * WRITE_LATE_SECONDS, "logins": [LOGIN], "times": 1}
            scene.emulator.faults(late)
            is_old_wish_late, is_right = _play(scene, minute=2 * number)
            say(f"round {number + 1}: the old wish {'landed late' if is_old_wish_late else 'was never sent'}")
            late_writes += is_old_wish_late
            wrong += not is_right
    report.figures["old wishes that landed late"] = f"{late_writes} of {rounds}"
    report.expect(not wrong, f"promise 2: in {wrong} of {rounds} rounds the old wish landed last, and nothing followed")
    return report


def _play(scene: Scene, *, minute: int) -> tuple[bool, bool]:
    """Let a dying worker send one old wish late; return whether it was sent and whether the newest wish won."""
    before = len(scene.emulator.calls())
    scene.middleman.hold_back_one(scene.reference(LOGIN).encode(), seconds=REPLY_LATE_SECONDS)
    _record(scene, Event(LOGIN, wants_active=True, minute=minute, id=f"evt-{minute:016x}"))
    worker = eventually(lambda: _claimer(scene), describe="the claim")
    _record(scene, Event(LOGIN, wants_active=False, minute=minute + 1, id=f"evt-{minute + 1:016x}"))
    was_sent = bool(wait_until(lambda: len(scene.emulator.calls()) > before, seconds=REPLY_LATE_SECONDS + 2))
    scene.stack.stop_process(worker, grace_seconds=0)
    scene.stack.start_worker(concurrency=2)
    eventually(scene.is_at_rest, seconds=60, describe="rest")
    eventually(lambda: not scene.emulator.stats().late_writes_pending, describe="the late write")
    eventually(scene.is_at_rest, seconds=60, describe="rest")
    flags = {login: flag for logins in scene.emulator.state().values() for login, flag in logins.items()}
    return was_sent, flags[LOGIN].is_activated is False


def _record(scene: Scene, event: Event) -> None:
    """Record an event without the workers, who are woken by their own pulse."""
    scene.services.intake.accept_messages([CeleryMessage(event.type, (), event.arguments(), event.id)])


def _claimer(scene: Scene) -> ManagedProcess | None:
    """Return the worker that holds the login."""
    claim = scene.redis.hget(f"nightly:login:{scene.reference(LOGIN)}", "k")
    owner = claim and b":" in claim and claim.rpartition(b":")[2]
    places = [place.decode() for place in scene.redis.zrange("nightly:reconcilers", 0, -1)]
    names = [place.partition("@")[0] for place in places if owner and place.endswith(owner.decode())]
    return next((worker for worker in scene.stack.workers if worker.name in names), None)
