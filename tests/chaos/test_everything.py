"""The short form of the main scenario; `make prove` runs the long one."""

from pathlib import Path

from tests.chaos.everything import everything_at_once


def test_no_event_is_lost_or_applied_wrongly_while_everything_fails_at_once(tmp_path: Path) -> None:
    report = everything_at_once(
        tmp_path,
        events=1500,
        logins=300,
        kills=4,
        stops=1,
        redis_restarts=1,
        fillings=1,
        cuts=4,
        seconds=8,
        calls_per_second=100,
        seed=1,
        say=lambda _: None,
    )
    assert not report.broken, report.text()
