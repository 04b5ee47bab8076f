"""The short form of a rotation of LOGIN_KEYS under load."""

from pathlib import Path

from tests.chaos.rotation import rotation


def test_no_event_waits_long_while_login_keys_are_rotated(tmp_path: Path) -> None:
    report = rotation(tmp_path, events_per_second=80, seconds_between=2, seed=1, say=print)
    assert not report.broken, report.text()
