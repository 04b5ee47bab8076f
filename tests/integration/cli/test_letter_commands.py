"""The commands about one dead letter: what they print, their exit codes, and no loginId except by `reveal`."""

import json
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.cli.test_commands import CANARY, park, take_in
from tests.integration.command import Command
from tests.ledger_calls import list_letters
from worker.config.settings import Settings
from worker.intake.messages import CeleryMessage
from worker.ledger import Letters
from worker.services import build_services

OTHER = "canary-other-login"


@pytest.fixture
def nightly(
    redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "canary-key", "COLUMNS": "100"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Command(capfd, never_shown="canary")


@pytest.fixture
def letters(nightly: Command, redis_client: Redis) -> Letters:  # noqa: ARG001 - it needs the settings of `nightly`
    """The open letter dl-1 of a login that Flinks does not know."""
    take_in()
    park(redis_client)
    return Letters(redis_client)


def test_a_login_id_is_corrected_from_standard_input(nightly: Command, letters: Letters) -> None:
    done = nightly("dead-letters", "correct", "dl-1", "--login-id", "-", "--reason", "typing", stdin=f"{OTHER}\n")
    assert done.returncode == 0
    letter = letters.get("dl-1")
    assert done.stdout.split() == ["dl-1:", "corrected", f"({letter.corrected_to})"]
    again = nightly("dead-letters", "correct", "dl-1", "--login-id", "-", "--reason", "typing", stdin=f"{OTHER}\n")
    assert (again.returncode, "corrected by" in again.stderr) == (1, True)


def test_a_wish_is_corrected(nightly: Command, letters: Letters) -> None:
    assert nightly("dead-letters", "correct", "dl-1", "--wish", "off", "--reason", "closed").returncode == 0
    assert letters.get("dl-1").status == "corrected"


@pytest.mark.parametrize("options", [[], ["--wish", "off", "--login-id", "-"]])
def test_a_correction_needs_a_wish_or_a_login_id(nightly: Command, letters: Letters, options: list[str]) -> None:
    assert nightly("dead-letters", "correct", "dl-1", "--reason", "x", *options).returncode == 2
    assert letters.get("dl-1").status == "open"


def test_a_letter_is_assigned_noted_and_snoozed(nightly: Command, letters: Letters) -> None:
    for command in (["assign", "dl-1", "ann"], ["note", "dl-1", "asked them"], ["snooze", "dl-1", "3d"]):
        assert nightly("dead-letters", *command).stdout == "dl-1: changed\n"
    letter = letters.get("dl-1")
    assert (letter.owner, letter.note, letter.snoozed_until is None) == ("ann", "asked them", False)
    shown = nightly("dead-letters", "show", "dl-1").stdout
    assert "note by" in shown
    assert "asked them" in shown
    assert "A replay: Asserts the newest wish, on, of event evt-1, as soon as the rate limit allows." in " ".join(
        shown.split()
    )
    nightly("dead-letters", "assign", "dl-1")
    nightly("dead-letters", "snooze", "dl-1", "now")
    letter = letters.get("dl-1")
    assert (letter.owner, letter.snoozed_until) == ("", None)


@pytest.mark.parametrize(("until", "code"), [("soon", 2), ("2099-01-01", 2), ("2099-01-01T00:00:00Z", 1), ("0d", 2)])
def test_a_wrong_end_of_a_snooze_is_refused(nightly: Command, letters: Letters, until: str, code: int) -> None:
    assert nightly("dead-letters", "snooze", "dl-1", until).returncode == code
    assert letters.get("dl-1").snoozed_until is None


def test_only_reveal_prints_the_login_id(nightly: Command, letters: Letters, capfd: pytest.CaptureFixture[str]) -> None:
    assert nightly("dead-letters", "nothing-left", "dl-1").returncode == 1
    openly = Command(capfd, never_shown="never")
    assert openly("dead-letters", "reveal", "dl-1", "--reason", "the bank asks").stdout == f"{CANARY}\n"
    assert openly("dead-letters", "reveal", "dl-1").returncode == 2
    assert len(letters.redis.lrange("nightly:audit", 0, -1)) == 1


def test_an_unknown_letter_is_named_with_those_that_exist(nightly: Command, letters: Letters) -> None:
    done = nightly("dead-letters", "note", "dl-9", "x")
    assert (done.returncode, "Known: dl-1" in done.stderr) == (1, True)
    assert letters.get("dl-1").note == ""


def test_a_rejected_message_is_corrected_in_a_file(nightly: Command, redis_client: Redis, tmp_path: Path) -> None:
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    assert not services.intake.accept_messages(
        [CeleryMessage("account.linked", [], {"login_id": CANARY, "occurred_at": "now"}, "evt-1")]
    )
    (letter,) = list_letters(services.letters)
    shown = nightly("dead-letters", "body", letter.id).stdout
    assert json.loads(shown)["kwargs"] == {"login_id": "[kept 1]", "occurred_at": "[kept 2]", "event_id": "evt-1"}
    file = tmp_path / "body.json"
    file.write_text(shown)
    done = nightly("dead-letters", "resubmit", letter.id, str(file), "--reason", "wrong time")
    assert done.returncode == 1
    assert "still invalid (occurred_at: must be an RFC 3339 time" in done.stdout
    corrected = shown.replace("[kept 2]", "2026-11-22T10:00:00Z")
    done = nightly("dead-letters", "resubmit", letter.id, "-", "--reason", "wrong time", stdin=corrected)
    assert done.stdout == f"{letter.id}: corrected ({services.vault.reference('toolbox', CANARY)})\n"
    assert redis_client.hget("nightly:tally:toolbox", "recorded") == b"1"
    missing = nightly("dead-letters", "resubmit", letter.id, "missing.json", "--reason", "x")
    assert (missing.returncode, "missing.json cannot be read" in missing.stderr) == (1, True)
