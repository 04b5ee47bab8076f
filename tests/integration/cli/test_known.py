"""What exists is offered by completion, and named when a command is given something that does not exist."""

from pathlib import Path

import pytest

from tests.integration.command import Command
from worker.config.settings import Settings
from worker.ledger import Message
from worker.services import Services, build_services


@pytest.fixture
def services(redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch) -> Services:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "a-key", "FLINKS_INSTANCE": "acme"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return build_services(Settings.load())


@pytest.fixture
def nightly(services: Services, capfd: pytest.CaptureFixture[str]) -> Command:
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    return Command(capfd)


@pytest.fixture
def backfill_id(services: Services) -> str:
    """Fill the ledger with two open letters and a backfill."""
    messages = [Message(f"iv-{code}", code, "why", "stream", 1) for code in ("invalid_event", "unknown_instance")]
    services.letters.keep_rejected(messages)
    return services.backfills.create(instance="acme", wish="on", as_of_us=1).id


def complete(nightly: Command, words: str, **settings: str) -> list[str]:
    asked = {"_NIGHTLY_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = nightly(**asked, **settings)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_offers_letters_codes_instances_and_backfills(nightly: Command, backfill_id: str) -> None:
    assert sorted(complete(nightly, "nightly dead-letters show iv-")) == ["iv-invalid_event", "iv-unknown_instance"]
    assert complete(nightly, "nightly dead-letters replay --code inv") == ["invalid_event"]
    assert complete(nightly, "nightly gate show ac") == ["acme"]
    assert complete(nightly, "nightly explain iv-i") == ["iv-invalid_event"]
    assert complete(nightly, "nightly backfill show bf") == [backfill_id]


def test_completion_is_silent_without_redis_or_settings(nightly: Command) -> None:
    Path(".nightly").mkdir()
    Path(".nightly/run").touch(mode=0o600)  # left by a run that was killed: other commands say so
    for redis_url in ("redis://127.0.0.1:1/0", "nonsense", ""):
        assert complete(nightly, "nightly dead-letters show iv-", REDIS_URL=redis_url) == []


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("dead-letters show iv-invalid", 1, "Known: iv-invalid_event, iv-unknown_instance"),
        ("dead-letters replay iv-invalid_event dl-404", 1, "there is no dead letter 'dl-404'. Known: iv-"),
        ("dead-letters list --code unknown_instanc", 2, "no such code. Known: unknown_instance, invalid_event"),
        ("dead-letters resolve --code INVALID_LOGN --note x", 2, "no such code. Known: "),
        ("dead-letters list --instance acm", 2, "no such instance. Known: acme"),
        ("dead-letters list --older-than soon", 2, "--older-than is neither a date, a time nor an age such as 24h"),
        ("gate show acm", 2, "no such instance. Known: acme"),
        ("explain login-1 --instance acm", 2, "no such instance. Known: acme"),
        ("backfill pause bf-nope", 1, "there is no backfill 'bf-nope'. Known: bf-"),
        ("backfill report bf-nope", 1, "there is no backfill 'bf-nope'. Known: bf-"),
        ("health --worker celery@elsewhere", 1, "no worker with the name 'celery@elsewhere' is known. None exists."),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_exist(
    nightly: Command, backfill_id: str, command: str, status: int, words: str
) -> None:
    done = nightly(*command.split())
    assert done.returncode == status
    assert words in done.stdout + done.stderr
    assert backfill_id in done.stderr or "backfill" not in command


def test_a_known_code_without_a_letter_is_no_error(nightly: Command) -> None:
    assert nightly("dead-letters", "list", "--code", "INVALID_LOGIN").returncode == 0


def test_a_report_that_cannot_be_written_names_the_file(nightly: Command, backfill_id: str) -> None:
    done = nightly("backfill", "report", backfill_id, "--output", "no-such-folder/report.csv")
    assert (done.returncode, "no-such-folder/report.csv cannot be written" in done.stderr) == (1, True)
