"""The settings that publishing needs in the process of a producer."""

import pytest

from worker.errors import SettingsError
from worker.events import publisher
from worker.events.publisher import publish


def test_a_producer_needs_only_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "not one of ours")
    monkeypatch.setenv("LOGIN_REDIRECT_URL", "/somebody/elses/setting")
    with pytest.raises(SettingsError, match="REDIS_URL: must be set"):
        publish("linked", login_id="login-1")
    with pytest.raises(SettingsError, match="percent-encode"):
        publish("linked", login_id="login-1", redis_url="redis://:se/cret@host:6379/0")


def test_a_producer_reads_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call read REDIS_URL again, which took four times as long as publishing."""
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1/0")
    publisher._client.cache_clear()
    try:
        kept = publisher._client(None)
        monkeypatch.delenv("REDIS_URL")
        assert publisher._client(None) is kept
    finally:
        publisher._client.cache_clear()
