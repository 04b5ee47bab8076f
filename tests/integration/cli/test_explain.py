"""`nightly explain` finds a login or a dead letter by any of its ids, and says what it searched."""

import json
from collections.abc import Sequence

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.command import Command
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.intake.messages import CeleryMessage
from worker.ledger import Letters, Message, Settlement
from worker.ledger.find import KEYS_IN_SLICE, Match, find
from worker.services import build_services

CANARY = "canary-7f3d-login"


@pytest.fixture
def nightly(
    redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    for name, value in {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "canary-key"}.items():
        monkeypatch.setenv(name, value)
    return Command(capfd, never_shown="canary")


def take_in(*events: tuple[str, str, str]) -> Sequence[str]:
    """Record events (event id, loginId, account id) as a worker would; returns the references."""
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    for event_id, login_id, account_id in events:
        about = {"event_id": event_id, "login_id": login_id, "account_id": account_id}
        about |= {"occurred_at": "2026-11-22T10:00:00Z"}
        assert services.intake.accept_messages([CeleryMessage("account.linked", [], about, "task")])
    return [services.vault.reference("toolbox", login_id) for _, login_id, _ in events]


def refuse_one_login() -> None:
    """Settle a due login as dead, as a worker would."""
    ledger = build_services(Settings.load()).ledger
    shared = {"calls_per_second": 1000, "fingerprint": "test", "owner": "o"}
    bounds = {"at_most": 1, "worker": "w", "lease_seconds": 9, "settle_seconds": 9, "max_in_flight": 9}
    [claim] = eventually(lambda: ledger_calls.claim(ledger, "toolbox", **bounds, **shared).claims)
    ledger_calls.settle(ledger, "toolbox", [Settlement(claim, "dead", code="INVALID_LOGIN")], **shared)


def test_a_login_is_found_by_each_of_its_ids(nightly: Command) -> None:
    [reference] = take_in(("evt-1", CANARY, "cust-1"))
    refuse_one_login()
    for what in (reference, "evt-1", "cust-1", "dl-1", "-"):
        done = nightly("explain", what, stdin=f"{CANARY}\n")
        assert (done.returncode, done.stdout.split()[0]) == (0, reference), what


def test_several_matches_are_listed_with_exit_code_2_and_json_prints_all(nightly: Command) -> None:
    references = take_in(("evt-1", CANARY, "cust-1"), ("evt-2", f"{CANARY}-2", "cust-1"), ("evt-3", "other", "cust-2"))
    listed = nightly("explain", "cust-1")
    assert listed.returncode == 2
    assert listed.stdout.count("login with this account id") == 2
    assert all(reference in listed.stdout for reference in references[:2])
    as_json = nightly("explain", "cust-1", "--json")
    assert as_json.returncode == 0
    found = [json.loads(line)["login"] for line in as_json.stdout.splitlines()]
    assert sorted(found) == sorted(references[:2])


def test_the_dead_letter_of_an_older_event_is_found_by_its_event_id(nightly: Command, redis_client: Redis) -> None:
    [reference] = take_in(("evt-1", CANARY, "cust-1"))
    refuse_one_login()
    letters = build_services(Settings.load()).letters
    ledger_calls.close(letters, "dl-1", "resolved", by="ann", note="done")
    redis_client.hset(f"nightly:login:{reference}", "e", "evt-newer")
    for what in ("evt-1", "dl-1"):
        shown = nightly("explain", what)
        assert (shown.returncode, shown.stdout.split()[0]) == (0, "dl-1")
        assert reference in shown.stdout


def test_a_rejected_message_is_found_by_its_letter_and_by_its_event_id(nightly: Command, redis_client: Redis) -> None:
    Letters(redis_client).keep_rejected([Message("iv-abc", "invalid_event", "why", "stream", 1, event_id="evt-9")])
    for what in ("iv-abc", "evt-9"):
        shown = nightly("explain", what)
        assert (shown.returncode, "iv-abc  invalid_event  open" in shown.stdout) == (0, True)


def test_nothing_found_says_what_was_searched_and_why_it_may_be_missing(nightly: Command) -> None:
    take_in(("evt-1", "a-login", "cust-1"))
    missing = nightly("explain", "-", stdin=CANARY)
    assert (missing.returncode, missing.stdout) == (1, "")
    for words in ("this loginId, event id or account id", "a newer event of its login", "nightly status"):
        assert words in missing.stderr
    assert "LOGIN_KEYS is not set" not in missing.stderr
    assert "LOGIN_KEYS is not set" in nightly("explain", "evt-2", LOGIN_KEYS="").stderr
    assert "nightly backfill show bf-abcdefghij" in nightly("explain", "bf-abcdefghij").stderr


def test_an_event_is_found_without_login_keys(nightly: Command) -> None:
    [reference] = take_in(("evt-1", CANARY, "cust-1"))
    assert nightly("explain", "evt-1", LOGIN_KEYS="").stdout.startswith(reference)


def test_a_search_reads_every_slice_and_sends_no_id_in_clear(redis_client: Redis) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(KEYS_IN_SLICE * 3):
            pipeline.hset(f"nightly:login:lgn_{number}", mapping={"e": f"evt-{number}", "a": f"cust-{number % 700}"})
        pipeline.execute()
    redis_client.config_set("slowlog-log-slower-than", 0)
    counts: list[int] = []
    try:
        found = find(redis_client, "cust-5", on_logins=counts.append)
        entries = b" ".join(entry["command"] for entry in redis_client.slowlog_get(100))
    finally:
        redis_client.config_set("slowlog-log-slower-than", 10_000)
    assert found == [Match("login", "lgn_5", "account id"), Match("login", "lgn_705", "account id")]
    assert counts[-1] == KEYS_IN_SLICE * 3
    assert len(counts) > 1
    assert b"nightly:l*" in entries
    assert b"cust-5" not in entries
