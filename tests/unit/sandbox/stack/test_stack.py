import os
from pathlib import Path

import pytest

from sandbox.stack import EmbeddedStack
from sandbox.stack.environment import keep_login_keys
from worker.errors import EmbeddedStackError, SettingsError
from worker.vault.vault import decode_key, new_key

REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
def hand_made(monkeypatch: pytest.MonkeyPatch) -> str:
    """Settings that leave nothing to start for a stack that uses them; returns their LOGIN_KEYS."""
    keys = new_key()
    monkeypatch.setenv("REDIS_URL", REDIS)
    monkeypatch.setenv("LOGIN_KEYS", keys)
    monkeypatch.setenv("FLINKS_AUTH_KEY", "a-key")
    monkeypatch.setenv("FLINKS_CUSTOMER_ID", "00000000-0000-4000-8000-000000000001")
    return keys


def test_the_login_keys_are_made_once_and_kept_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "login-keys"

    first = keep_login_keys(path)

    assert decode_key(first)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keep_login_keys(path) == first
    assert [file.name for file in tmp_path.iterdir()] == ["login-keys"]


def test_configured_servers_are_used_and_none_is_started(tmp_path: Path, hand_made: str) -> None:
    with EmbeddedStack(tmp_path / "stack", isolated=False, workers=0) as stack:
        settings = stack.settings()

    assert (stack.redis, stack.emulator_url, stack.workers) == (None, None, [])
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == REDIS
    assert settings.login_keys
    assert settings.login_keys.get_secret_value() == hand_made
    assert [path.name for path in stack.folder.iterdir()] == []


def test_a_dotenv_file_counts_like_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(f"REDIS_URL={REDIS}\nLOGIN_KEYS={new_key()}\nFLINKS_AUTH_KEY=a-key\n")

    with EmbeddedStack(tmp_path / "stack", isolated=False, workers=0) as stack:
        assert (stack.redis, stack.emulator_url) == (None, None)
        assert stack.working_folder == tmp_path


@pytest.mark.usefixtures("hand_made")
def test_an_isolated_stack_sees_neither_the_environment_nor_the_dotenv_file(tmp_path: Path) -> None:
    Path(".env").write_text("FLINKS_INSTANCE=acme\n")
    overrides = {"REDIS_URL": REDIS, "FLINKS_CALLS_PER_SECOND": "7"}

    with EmbeddedStack(tmp_path / "stack", isolated=True, overrides=overrides, workers=0, emulator=False) as stack:
        settings = stack.settings()

    assert settings.flinks_auth_key is None
    assert settings.flinks_instance == "toolbox"
    assert settings.flinks_customer_id == "43387ca6-0391-4c82-857d-70d95f087ecb"
    assert settings.flinks_calls_per_second == 7


def test_reading_the_settings_of_children_leaves_our_own_environment_unchanged(tmp_path: Path) -> None:
    before, folder = dict(os.environ), Path.cwd()

    with EmbeddedStack(
        tmp_path / "stack", isolated=True, overrides={"REDIS_URL": REDIS}, workers=0, emulator=False
    ) as stack:
        assert stack.settings().login_keys

    assert (dict(os.environ), Path.cwd()) == (before, folder)


def test_a_redis_named_by_hand_without_login_keys_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", REDIS)
    monkeypatch.setenv("FLINKS_AUTH_KEY", "a-key")

    with pytest.raises(SettingsError, match="LOGIN_KEYS: is required if REDIS_URL is set"):
        EmbeddedStack(tmp_path / "stack", isolated=False, workers=0).start()


def test_a_wrong_setting_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="FLINKS_CUSTOMER_ID: must be a GUID"):
        EmbeddedStack(tmp_path, isolated=True, overrides={"FLINKS_CUSTOMER_ID": "me"}).start()


def test_flinks_is_never_emulated_on_a_redis_that_was_named_by_hand_unless_it_is_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", REDIS)
    monkeypatch.setenv("LOGIN_KEYS", new_key())

    with pytest.raises(SettingsError, match=r"FLINKS_AUTH_KEY: is required if REDIS_URL is set.*SANDBOX=1"):
        EmbeddedStack(tmp_path / "stack", isolated=False, workers=0).start()

    monkeypatch.setenv("SANDBOX", "1")
    with EmbeddedStack(tmp_path / "stack", isolated=False, workers=0) as stack:
        assert stack.emulator_url
        assert stack.settings().sandbox


def test_where_the_emulator_is_not_installed_the_stack_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(
        EmbeddedStackError, match="Only a checkout of Nightly has the Flinks emulator: set FLINKS_AUTH_KEY"
    ):
        EmbeddedStack(
            tmp_path / "stack", isolated=True, overrides={"REDIS_URL": REDIS, "SANDBOX": "1"}, workers=0
        ).start()
