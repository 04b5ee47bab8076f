"""The defaults, and values that follow from other settings."""

import os
from pathlib import Path

import pytest

from tests.unit.config.loading import Set, refused
from worker.config.gate_thresholds import GateRules
from worker.config.settings import Settings
from worker.errors import SettingsError


def test_an_empty_environment_has_every_default() -> None:
    settings = Settings.load()
    assert settings.redis_url is None
    assert settings.redis_address() == ""
    assert settings.flinks_instance == "toolbox"
    assert settings.instances() == {}
    assert (settings.retry_max_attempts, settings.retry_max_age_hours) == (20, 24)
    assert (settings.flinks_calls_per_second, settings.flinks_max_in_flight) == (50, 64)


def test_an_empty_value_means_the_default(env: Set) -> None:
    env(REDIS_URL="", METRICS_PORT="", FLINKS_SETTLE_SECONDS="", FLINKS_INSTANCES="")
    assert Settings.load() == Settings()
    assert refused("REDIS_URL")


def test_a_variable_takes_precedence_over_env_file_unless_it_is_empty(env: Set, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://from-file\nFLINKS_INSTANCE=acme\nSEAL_TO=\n")
    env(REDIS_URL="", FLINKS_INSTANCE="", METRICS_PORT="")
    assert Settings.load(require=["REDIS_URL"]).flinks_instance == "acme"
    assert "from-file" in Settings.load().redis_address()
    env(REDIS_URL="redis://from-variable")
    assert "from-variable" in Settings.load().redis_address()


def test_a_setting_name_may_be_in_lower_case(env: Set) -> None:
    env(redis_url="redis://a")
    assert Settings.load(require=["REDIS_URL"]).redis_url is not None


@pytest.mark.parametrize(("name", "level"), [("info", "INFO"), ("Debug", "DEBUG"), ("ERROR", "ERROR")])
def test_a_log_level_may_be_written_in_any_case(env: Set, name: str, level: str) -> None:
    env(LOG_LEVEL=name)
    assert Settings.load().log_level == level


def test_the_rest_of_a_login_is_twice_the_timeout_by_default(env: Set) -> None:
    env(FLINKS_TIMEOUT_SECONDS="7")
    assert Settings.load().flinks_settle_seconds == 14
    env(FLINKS_SETTLE_SECONDS="0")
    assert Settings.load().flinks_settle_seconds == 0


def test_a_lease_outlasts_the_call(env: Set) -> None:
    env(FLINKS_TIMEOUT_SECONDS="7")
    settings = Settings.load()
    assert settings.lease_seconds == 7 + settings.lease_margin_seconds == 12


def test_the_environment_is_unchanged() -> None:
    Path(".env").write_text("FLINKS_INSTANCE=acme-ca\n")
    before = dict(os.environ)
    Settings.load()
    assert dict(os.environ) == before


def test_the_thresholds_of_the_gate_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().gate_rules == GateRules()
    for name, value in {"RATIO": "0.25", "MIN_CALLS": "30", "WINDOW_SECONDS": "60", "IN_A_ROW": "15"}.items():
        monkeypatch.setenv(f"GATE_OUTAGE_{name}", value)
    monkeypatch.setenv("GATE_STORM_LOGINS", "40")
    assert Settings.load().gate_rules == GateRules(0.25, 30, 60, 15, 40)
    monkeypatch.setenv("GATE_STORM_LOGIN", "40")
    with pytest.raises(SettingsError, match="did you mean GATE_STORM_LOGINS"):
        Settings.load()
