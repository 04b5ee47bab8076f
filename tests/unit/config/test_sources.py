"""`nightly` commands find the stack that `nightly run` started in their folder, and never a dead or foreign one."""

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.config.settings import Settings
from worker.config.sources import DOTENV, RUN_FILE, settings_files
from worker.events.preparation import ProducerSettings

URL, OTHER_URL = "redis://127.0.0.1:8083/0", "redis://127.0.0.1:6379/0"
LINES = f"# pid 1\nREDIS_URL={URL}\nFLINKS_AUTH_KEY=emulator-key\nSANDBOX=1\n"
Look = Callable[[], tuple[bool, str]]


@pytest.fixture
def run_file() -> Iterator[Path]:
    """The file of a running stack, in the test's folder."""
    RUN_FILE.parent.mkdir()
    RUN_FILE.touch(0o600)
    RUN_FILE.write_text(LINES)
    with RUN_FILE.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield RUN_FILE


@pytest.fixture
def look() -> Look:
    """Return whether the file is used, and what is printed."""

    def look() -> tuple[bool, str]:
        said: list[str] = []
        return RUN_FILE in settings_files(said.append), " ".join(said)

    return look


def test_without_a_run_in_this_folder_only_the_dotenv_file_is_read(look: Look) -> None:
    assert look() == (False, "")


@pytest.mark.usefixtures("run_file")
def test_a_running_stack_gives_its_settings_and_that_is_printed(look: Look) -> None:
    assert look() == (True, "Using the stack that `nightly run` started in this folder (.nightly/run).")
    settings = Settings.load(require=("REDIS_URL", "FLINKS_AUTH_KEY"), say=lambda _: None)
    assert settings.redis_address() == URL
    assert settings.sandbox


@pytest.mark.usefixtures("run_file")
def test_a_producer_in_python_finds_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    found = ProducerSettings.load().redis_url
    assert found
    assert found.get_secret_value() == URL
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("run_file")
def test_another_redis_in_the_environment_or_the_dotenv_file_wins(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    DOTENV.write_text(f"redis_url={OTHER_URL}\n")
    assert look() == (False, "")
    monkeypatch.setenv("REDIS_URL", URL)
    assert look()[0], "the environment outweighs .env, and names the same Redis"
    monkeypatch.setenv("REDIS_URL", OTHER_URL)
    assert look() == (False, "")


@pytest.mark.usefixtures("run_file")
def test_settings_of_the_run_are_never_mixed_with_others_of_the_environment(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLINKS_AUTH_KEY", "a-real-key")
    is_used, said = look()
    assert not is_used
    assert said == "The stack of .nightly/run is not used, because the environment sets FLINKS_AUTH_KEY otherwise."


@pytest.mark.usefixtures("run_file")
def test_what_the_run_decided_outweighs_the_dotenv_file_that_it_has_read() -> None:
    DOTENV.write_text("REDIS_URL=\nSANDBOX=0\nFLINKS_TIMEOUT_SECONDS=7\n")
    settings = Settings.load(say=lambda _: None)
    assert settings.sandbox
    assert settings.flinks_timeout_seconds == 7


@pytest.mark.usefixtures("run_file")
def test_nothing_is_printed_in_a_part_of_the_run_itself(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _, value in (line.partition("=") for line in LINES.splitlines()[1:]):
        monkeypatch.setenv(name, value)
    assert look() == (True, "")


def test_the_file_of_a_killed_run_is_not_used(look: Look) -> None:
    RUN_FILE.parent.mkdir()
    RUN_FILE.touch(0o600)
    RUN_FILE.write_text(LINES)
    is_used, said = look()
    assert not is_used
    assert "has ended" in said


def test_a_file_that_another_user_could_have_written_is_not_used(
    run_file: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_file.chmod(0o660)
    assert look() == (False, ".nightly/run is not used: it is not a plain file that only you can read and write.")
    run_file.chmod(0o600)
    with monkeypatch.context() as here:
        here.setattr("os.geteuid", lambda: run_file.stat().st_uid + 1)
        assert not look()[0]
    moved = run_file.rename("elsewhere")
    run_file.symlink_to(moved.absolute())
    assert not look()[0]


@pytest.mark.usefixtures("run_file")
def test_a_stack_that_is_still_starting_is_not_used(look: Look) -> None:
    RUN_FILE.write_text("# pid 1\n")
    assert look() == (False, "")
