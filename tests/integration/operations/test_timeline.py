"""The timeline of a login and of a letter: each thing that happened, once, newest first."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.integration.ledger.rejected import park
from tests.ledger_calls import claim, close, settle
from worker.ledger import Ledger, Letters, Settlement
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.history import attempt_text
from worker.operations.timeline import Timeline

ANN = Actor("ann", "operator", "page", "10.0.0.7")
TERMS: dict[str, Any] = {"owner": "o", "calls_per_second": 1000, "fingerprint": "f"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(redis_client: Redis, clock: Clock) -> Ledger:
    redis_client.hset(f"nightly:configs:{INSTANCE}", "f", "proven")
    return Ledger(redis_client, now_ms=clock)


def call(ledger: Ledger, outcome: str, code: str) -> None:
    """Claim the only login, and settle its call."""
    bounds = {"at_most": 1, "worker": "w", "lease_seconds": 9, "settle_seconds": 0, "max_in_flight": 9}
    (claimed,) = claim(ledger, INSTANCE, **TERMS, **bounds).claims
    attempt = attempt_text(at=ledger.now_ms(), outcome=outcome, code=code, wish=True, seconds=0.25, message="<b>no</b>")
    settle(ledger, INSTANCE, [Settlement(claimed, outcome, code=code, attempt=attempt)], **TERMS)


def titles(timeline: list[Any]) -> list[str]:
    return [item.title for item in timeline]


def test_a_login_s_timeline_has_events_attempts_letters_and_actions(
    redis_client: Redis, ledger: Ledger, clock: Clock
) -> None:
    ledger.record(wishes(1))
    call(ledger, "dead", "DISABLED_LOGIN")
    clock.ms += 1000
    AuditLog(redis_client, now_ms=clock).append(Deed(ANN, "letter.reveal", "dl-1", "customer called"))
    clock.ms += 1000
    ledger.record(wishes(1, minute=1))
    clock.ms += 1000
    call(ledger, "applied", "applied")
    timeline = Timeline(redis_client).of_login("lgn_0", with_addresses=True)
    assert titles(timeline) == [
        "Applied: refreshes are on",
        "Dead letter dl-1 was closed: a newer event came",
        "Event came: wish on",
        "ann revealed the loginId",
        "Dead letter dl-1 was filed: DISABLED_LOGIN",
        "The call failed for good: DISABLED_LOGIN",
        "Event happened: wish on",
    ]
    by_kind = {item.kind: item for item in reversed(timeline)}
    assert timeline[0].facts["waited"] == "3 s"
    assert by_kind["action"].facts["reason"] == "customer called"
    assert by_kind["action"].facts["from"] == "page 10.0.0.7"
    assert (by_kind["attempt"].facts["took"], by_kind["attempt"].facts["message"]) == ("250 ms", "<b>no</b>")
    letter = Letters(redis_client).get("dl-1")
    assert Timeline(redis_client).of_letter(letter, with_addresses=True) == timeline


def test_the_last_success_of_a_login_without_trouble_is_known(redis_client: Redis, ledger: Ledger) -> None:
    ledger.record(wishes(1))
    call(ledger, "applied", "applied")
    assert titles(Timeline(redis_client).of_login("lgn_0", with_addresses=True)) == [
        "Applied: refreshes are on",
        "Event happened: wish on",
    ]
    assert Timeline(redis_client).of_login("lgn_unknown", with_addresses=True) == []


def test_a_message_has_a_timeline_of_its_own(redis_client: Redis) -> None:
    letters = Letters(redis_client)
    park(letters)
    park(letters)
    AuditLog(redis_client).append(Deed(ANN, "letter.snooze", "ev-1", detail={"until": 1_700_000_000_000, "odd": [1]}))
    snooze, filing = Timeline(redis_client).of_letter(letters.get("ev-1"), with_addresses=True)
    assert filing.title == "The message was set aside: body: is not JSON"
    assert filing.facts["seen"].startswith("2 times")
    assert (snooze.title, snooze.facts["until"]) == ("ann snoozed the letter", "2023-11-14 22:13:20 UTC")


def test_a_letter_that_a_person_closed_is_told_of_once(redis_client: Redis, ledger: Ledger) -> None:
    ledger.record(wishes(1))
    call(ledger, "dead", "DISABLED_LOGIN")
    close(Letters(redis_client), "dl-1", "resolved", by="ann", note="the card is gone")
    done = [item for item in Timeline(redis_client).of_login("lgn_0", with_addresses=True) if "resolved" in item.title]
    assert [(item.title, item.facts["reason"]) for item in done] == [("ann resolved the letter", "the card is gone")]
    redis_client.delete("nightly:audited:lgn_0", "nightly:audited:dl-1")
    done = [item for item in Timeline(redis_client).of_login("lgn_0", with_addresses=True) if "resolved" in item.title]
    assert [(item.title, item.facts["reason"]) for item in done] == [("ann resolved the letter", "the card is gone")]
    redis_client.delete("nightly:history:lgn_0")
    (left,) = [
        item for item in Timeline(redis_client).of_login("lgn_0", with_addresses=True) if "resolved" in item.title
    ]
    assert left.title == "Dead letter dl-1 was resolved by ann"
