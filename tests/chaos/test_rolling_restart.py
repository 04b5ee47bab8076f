"""The short form of a rolling restart. The limit is wide, because other tests use the machine too."""

from pathlib import Path

from sandbox.emulator.calls import Call
from tests.chaos.rolling_restart import Sent, rolling_restart, waits


def test_no_event_waits_long_while_workers_are_restarted_in_turn(tmp_path: Path) -> None:
    report = rolling_restart(
        tmp_path, events_per_second=30, seconds_between=1, restarts=2, limit_seconds=10, seed=1, say=print
    )
    assert not report.broken, report.text()


def test_an_event_is_timed_until_its_own_or_a_newer_wish_is_committed() -> None:
    """A measurement that cannot see a lost or a late event would prove nothing."""

    def call(login: str, committed_at: float | None, *, wish: bool) -> Call:
        return Call(1, "customer", login, wish, 0, 0, committed_at=committed_at)

    wishes = [("a", True, 10), ("a", False, 11), ("b", True, 12), ("c", True, 13)]
    sent = [Sent(login, wants_active=wish, at=at) for login, wish, at in wishes]
    calls = [call("a", 9, wish=True), call("a", 14, wish=False), call("b", 15, wish=True), call("c", None, wish=True)]
    assert waits(sent, calls) == [4, 3, 3, None]
