"""`nightly publish`: what is sent, what is refused, and what became of it."""

import json

import pytest
from redis import Redis

from tests.integration.command import Command
from tests.ledger_calls import list_letters
from worker.config.settings import Settings
from worker.ledger import Ledger
from worker.services import build_services

CANARY = "canary-7f3d-login"


@pytest.fixture
def nightly(
    redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    for name, value in {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    return Command(capfd, never_shown="canary")


def test_one_event_is_published_with_its_login_from_standard_input(nightly: Command, redis_client: Redis) -> None:
    done = nightly("publish", "linked", "--login-id", "-", "--event-id", "evt-9", stdin=f"{CANARY}\n")
    assert (done.returncode, done.stdout) == (0, "Published event evt-9.\n")
    [(_, fields)] = redis_client.xrange("account-events:stream")
    assert json.loads(fields[b"event"])["data"] == {"loginId": CANARY}


def test_valid_lines_of_a_file_are_published_and_invalid_ones_are_named(nightly: Command, redis_client: Redis) -> None:
    good = json.dumps({"type": "account.linked", "login_id": CANARY, "occurred_at": "2026-11-22T10:00:00Z"})
    wrong = json.dumps({"type": "account.linked", "login_id": CANARY})
    done = nightly("publish", "--file", "-", stdin=f"{good}\n{CANARY}\n{wrong}\n{good}")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["line 2: is not JSON", "line 3: occurred_at: is required"]
    assert done.stdout == "Published 2 events. Not sent, because invalid: 2 lines.\n"
    assert redis_client.xlen("account-events:stream") == 2


def test_an_event_that_workers_would_reject_is_refused_with_its_field(nightly: Command, redis_client: Redis) -> None:
    Ledger(redis_client).pulse({}, worker="w-1", slots=2, about={"instances": ["toolbox", "acme"]})
    one = "publish", "linked", "--login-id", CANARY
    for arguments, reason in (
        (("--occurred-at", "2099-01-01T00:00:00Z"), "occurred_at: lies more than 3600 s"),
        (("--instance", "acme-us"), "instance: is not one of the configured"),
    ):
        done = nightly(*one, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in " ".join(done.stderr.split())
    assert nightly(*one, REQUIRE_SEALED="1").returncode == 2
    assert not redis_client.exists("account-events:stream")
    assert nightly(*one, "--instance", "acme").returncode == 0


def test_publish_names_the_reason_why_an_event_waits(nightly: Command, redis_client: Redis) -> None:
    wait = "publish", "linked", "--login-id", CANARY, "--event-id", "evt-9", "--wait", "--within", "0"
    done = nightly(*wait)
    assert done.returncode == 1
    assert "waiting: no worker has taken it in yet, and no worker is alive. Start: celery" in done.stdout
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    reference = services.vault.reference("toolbox", CANARY)
    [(entry, fields)] = redis_client.xrange("account-events:stream")
    assert services.intake.accept_bodies([fields[b"event"]])
    redis_client.xdel("account-events:stream", entry)
    occurred_at = json.loads(fields[b"event"])["time"]
    done = nightly(*wait, "--occurred-at", occurred_at, "--json")
    assert done.returncode == 0
    published = {"event_id": "evt-9", "login": reference, "result": "duplicate"}
    assert json.loads(done.stdout).items() >= published.items()
    assert nightly("gate", "close", "toolbox", "--reason", "maintenance").returncode == 0
    file = json.dumps({"type": "account.inactive", "login_id": CANARY, "occurred_at": occurred_at})
    done = nightly("publish", "--file", "-", "--wait", "--within", "0", stdin=file)
    assert (done.returncode, "Next: nightly status" in done.stdout) == (1, True)
    done = nightly("publish", "--file", "-", "--wait", "--within", "0", "--json", stdin=file)
    [waiting] = map(json.loads, done.stdout.splitlines())
    assert (waiting["line"], waiting["result"]) == (1, "waiting")
    assert waiting["reason"].startswith("no worker has taken it in yet, and no worker is alive")


def test_published_events_are_json_lines(nightly: Command) -> None:
    good = json.dumps({"type": "account.linked", "login_id": CANARY, "occurred_at": "2026-11-22T10:00:00Z"})
    done = nightly("publish", "--file", "-", "--json", stdin=f"no JSON\n{good}\n")
    assert (done.returncode, done.stderr) == (1, "")
    refused, published = map(json.loads, done.stdout.splitlines())
    assert (refused["line"], refused["result"], refused["reason"]) == (1, "refused", "is not JSON")
    assert (published["line"], published["result"]) == (2, "published")
    assert published["login"].startswith("lgn_")
    [one] = map(
        json.loads, nightly("publish", "linked", "--login-id", CANARY, "--json", LOGIN_KEYS="").stdout.splitlines()
    )
    assert (one["login"], one["result"]) == (None, "published")


def test_a_rejected_event_can_be_found_by_its_id_source_and_account(nightly: Command) -> None:
    services = build_services(Settings.load())
    document = {"id": "evt-7", "source": "crm", "subject": "cust-42", "data": {"loginId": CANARY}}
    assert not services.intake.accept_bodies([json.dumps(document).encode()])
    [letter] = list_letters(services.letters)
    shown = [line.split() for line in nightly("dead-letters", "show", letter.id).stdout.splitlines()]
    assert all(row in shown for row in (["event", "evt-7"], ["producer", "crm"], ["account", "cust-42"]))
    [listed] = map(json.loads, nightly("dead-letters", "list", "--json").stdout.splitlines())
    found = {name: listed[name] for name in ("event_id", "event_source", "account_id")}
    assert found == {"event_id": "evt-7", "event_source": "crm", "account_id": "cust-42"}


def test_a_missing_file_of_events_is_named(nightly: Command) -> None:
    done = nightly("publish", "--file", "no-such-file")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-such-file cannot be read: No such file or directory" in " ".join(done.stderr.split())
