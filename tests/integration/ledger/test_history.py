"""The history of a troubled login: what is stored of it, how many lines, and for how long."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock, wishes
from tests.ledger_calls import close, list_letters
from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Claim, Lane, Ledger, Letters, Recorded, Settled, Wish
from worker.ledger.history import by_kind, read_history, read_lines
from worker.ledger.queries import Views
from worker.reconciler.retry_policy import RetryLimits
from worker.reconciler.settlement import Call, settlement_of

LOGIN, HISTORY = "nightly:login:lgn_0", "nightly:history:lgn_0"
LIMITS = RetryLimits(max_attempts=1000, max_age_seconds=10**9, settle_seconds=20)
BUSY = Verdict(Outcome.TRANSIENT, "RETRY_LATER", 401, "RETRY_LATER", "Please try again é")
TIMEOUT = Verdict(Outcome.TRANSIENT, "timeout")
THIRTY_DAYS = range(30 * 86_400 - 60, 30 * 86_400 + 1)
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def attempt_of(claim: Claim, verdict: Verdict, *, seconds: float = 0.25, worker: str = "w1") -> str:
    return settlement_of(Call(claim, claim.number, seconds, worker), verdict, LIMITS, lambda: 0.0).attempt


def test_every_attempt_is_read_with_all_its_values(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    began = clock.ms
    for verdict, seconds, worker in ((BUSY, 0.25, "w1"), (TIMEOUT, 61.001, "w2"), (BUSY, 0, "w1")):
        (call,) = claim().claims
        settle(call, "transient", code=verdict.code, attempt=attempt_of(call, verdict, seconds=seconds, worker=worker))
        clock.ms += 3_600_000
    ledger.record(wishes(1, minute=1, on=False))
    (call,) = claim().claims
    assert call.has_history
    settle(call, "applied", code="applied", attempt=attempt_of(call, Verdict(Outcome.APPLIED, "applied", 200)))
    busy = {"outcome": "transient", "code": "RETRY_LATER", "http_status": 401}
    busy |= {"message": "Please try again é", "worker": "w1", "revision": 1, "wish": True}
    assert Views(ledger.redis, now_ms=clock).login("lgn_0")["attempts"] == [  # type: ignore[index]
        {"at": began, "seconds": 0.25, **busy},
        {"at": began + 3_600_000, "revision": 1, "wish": True, "seconds": 61.001, "outcome": "transient",
         "code": "timeout", "worker": "w2"},
        {"at": began + 7_200_000, "seconds": 0.0, **busy},
        {"at": began + 10_800_000, "revision": 2, "wish": False, "seconds": 0.25, "outcome": "applied",
         "code": "applied", "http_status": 200, "worker": "w1"},
    ]  # fmt: skip


def test_a_settlement_sent_twice_is_repeated_and_claim_numbers_are_unique(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim(calls_per_second=100_000).claims
    first, again = (settle(call, "transient", code="x", attempt=attempt_of(call, BUSY)) for _ in range(2))
    assert (first, again) == (Settled.WAITING, Settled.REPEATED)
    (other,) = claim(calls_per_second=100_000).claims
    assert other.number == call.number + 1, "even within a millisecond"
    settle(other, "unsent", code="unsent")
    assert Views(ledger.redis, now_ms=clock).login("lgn_0")["last_code"] == "unsent"  # type: ignore[index]


def test_the_last_thirty_lines_are_kept_in_order(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    made = []
    for _ in range(35):
        (call,) = claim().claims
        made.append(call.number)
        settle(call, "transient", code="RETRY_LATER", attempt=attempt_of(call, BUSY))
        clock.ms += 7_200_000
    found = [attempt["at"] for attempt in Views(redis_client, now_ms=clock).login("lgn_0")["attempts"]]  # type: ignore[index]
    assert found == made[-30:]
    assert redis_client.object("encoding", LOGIN) != b"hashtable"


def test_an_attempt_like_the_one_before_it_keeps_only_its_time_and_duration(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    made = []
    for number in range(40):
        verdict = TIMEOUT if number in {3, 30} else BUSY
        (call,) = claim().claims
        text = attempt_of(call, verdict, seconds=number)
        settle(call, "transient", code=verdict.code, attempt=text)
        made.append({"kind": "attempt", **read_lines(text.encode())[0]})
        if number == 5:
            ledger.record([replace(wishes(1)[0], event_id="an older one")])
        clock.ms += 7_200_000
        found = [line for line in read_history(redis_client, "lgn_0") if line["kind"] == "attempt"]
        assert found == made[-len(found) :]
    text = redis_client.get(HISTORY).decode()
    assert len(found) == text.count("\n") + 1 == 30
    assert text.count("RETRY_LATER") == 2, "of the oldest attempt, and of the first one after the timeout"


def test_the_history_is_readable_as_it_is_stored(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    began = clock.ms
    for verdict, wait in ((BUSY, 738), (BUSY, 3_600_123), (BUSY, 60_000), (TIMEOUT, 60_000)):
        (call,) = claim().claims
        settle(call, "transient", code=verdict.code, attempt=attempt_of(call, verdict))
        clock.ms += wait
    assert redis_client.get(HISTORY).decode().split("\n") == [
        f'[{began},250,1,1,"RETRY_LATER","w1",401,null,null,"Please try again \\u00e9"]',
        "[738,250]",
        "[3600123,250]",
        f'[{began + 3_660_861},250,1,1,"timeout","w1"]',
    ]


def test_an_attempt_after_a_lost_lease_repeats_the_attempt_before_it_in_full(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    made = []
    for ends in (True, False, False, True, True):
        (call,) = claim(lease_seconds=60).claims
        made.append((clock.ms if ends else clock.ms + 100_000, "RETRY_LATER" if ends else "lease_lost"))
        if ends:
            settle(call, "transient", code="RETRY_LATER", attempt=attempt_of(call, BUSY))
        clock.ms += 100_000
        ledger.pulse({}, worker="w", slots=1)
        clock.ms += 100_000
    found = Letters(ledger.redis).attempts("lgn_0")
    assert [(attempt["at"], attempt["code"]) for attempt in found] == made
    assert ["seconds" in attempt for attempt in found] == [True, False, False, True, True]


@pytest.mark.parametrize("failed_before", [True, False])
def test_a_dead_letter_keeps_its_attempts_for_as_long_as_it_is_open(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any, *, failed_before: bool
) -> None:
    ledger.record(wishes(1))
    if failed_before:
        (call,) = claim().claims
        settle(call, "transient", code="RETRY_LATER", attempt=attempt_of(call, BUSY))
        clock.ms += 9000
    (call,) = claim().claims
    dead = Verdict(Outcome.DEAD, "DISABLED_LOGIN", 400, message='it says "no"')
    sent = {"code": "DISABLED_LOGIN", "attempt": attempt_of(call, dead, seconds=1.5)}
    assert settle(call, "dead", **sent) is Settled.DEAD_LETTERED
    assert settle(call, "dead", **sent) is Settled.REPEATED
    assert redis_client.pttl(HISTORY) == -1
    attempts = Letters(redis_client).attempts("lgn_0")
    assert [attempt["code"] for attempt in attempts] == ["RETRY_LATER"] * failed_before + ["DISABLED_LOGIN"]
    assert attempts[-1] == {
        "at": call.number, "revision": 1, "wish": True, "seconds": 1.5, "outcome": "dead", "code": "DISABLED_LOGIN",
        "http_status": 400, "message": 'it says "no"', "worker": "w1",
    }  # fmt: skip


def test_attempts_expire_thirty_days_after_the_one_that_succeeded(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for minute, verdict in enumerate((BUSY, Verdict(Outcome.APPLIED, "applied", 200), BUSY), start=1):
        (call,) = claim().claims
        settle(call, str(verdict.outcome), code=verdict.code, attempt=attempt_of(call, verdict))
        expires_in = redis_client.ttl(HISTORY)
        assert (expires_in in THIRTY_DAYS) if verdict.outcome is Outcome.APPLIED else (expires_in == -1)
        clock.ms += 1000
        ledger.record(wishes(1, minute=minute))
    redis_client.delete(HISTORY)
    assert Views(redis_client).login("lgn_0")["attempts"] == []  # type: ignore[index]
    (call,) = claim().claims
    assert not call.has_history


def test_an_older_event_does_not_keep_the_history_of_a_resolved_letter(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for outcome in ("transient", "dead"):
        settle(claim().claims[0], outcome, code="RETRY_LATER", attempt="[1]")
        clock.ms += 1000
    close(Letters(redis_client, now_ms=clock), "dl-1", "resolved", by="ann")
    ledger.record([replace(wishes(1)[0], event_id="d")])
    assert by_kind(read_history(redis_client, "lgn_0"))["events"]
    assert redis_client.ttl(HISTORY) in THIRTY_DAYS


def test_event_ids_that_are_guids_are_compared_by_their_text(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    first = Wish("lgn_0", "toolbox", b"sealed", 1_600_000_000_000_000, wants_active=True, event_id=GUID)
    ledger.record([first])
    later, earlier = (replace(first, event_id=text) for text in (GUID[:-1] + "f", "0f"))
    assert ledger.record([first, earlier, later]) == [Recorded.DUPLICATE, Recorded.SUPERSEDED, Recorded.RECORDED]
    ledger.record([replace(first, event_id="1")])
    assert ledger.record([later]) == [Recorded.SUPERSEDED]
    ledger.record([replace(first, event_id=GUID.replace("0f8", "2f8"))])
    assert Views(redis_client, now_ms=clock).login("lgn_0")["event_id"] == GUID.replace("0f8", "2f8")  # type: ignore[index]
    settle(claim().claims[0], "dead", code="INVALID_LOGIN")
    (letter,) = list_letters(Letters(redis_client))
    assert letter.event_id == GUID.replace("0f8", "2f8")


def test_events_that_come_while_a_login_has_failures_are_in_its_history(
    ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    ledger.record(wishes(1, minute=1))
    assert not redis_client.exists(HISTORY), "a healthy login has none"
    settle(claim(at_most=1).claims[0], "transient", code="RETRY_LATER", attempt="[1]")
    ledger.record([replace(wishes(1)[0], event_id='an "older" one')])
    ledger.record(wishes(1, minute=1))
    newer = replace(wishes(1, minute=2, on=False)[0], lane=Lane.BACKFILL)
    ledger.record([newer])
    common = {"kind": "event", "at": clock.ms}
    first_us = 1_600_000_000_000_000
    older = {"event_id": 'an "older" one', "wish": True, "occurred_us": first_us, "lane": "live"}
    last = {"event_id": "e2", "wish": False, "occurred_us": first_us + 120_000_000, "lane": "backfill"}
    assert read_history(redis_client, "lgn_0") == [
        {"kind": "attempt", "at": 1, "outcome": "transient"},
        common | older | {"result": "superseded"},
        common | last | {"result": "recorded"},
    ]
    ledger.record(wishes(1, minute=3))
    assert len(read_history(redis_client, "lgn_0")) == 3, "the newer wish has no failures"


def test_a_letter_and_its_history_say_which_event_replaced_the_wish(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "dead", code="INVALID_LOGIN", attempt="[1]")
    ledger.record([replace(wishes(1)[0], event_id="d")])
    assert redis_client.ttl(HISTORY) == -1, "an older event does not let the history of an open letter expire"
    ledger.record(wishes(1, minute=1))
    letter = Letters(redis_client).get("dl-1")
    assert (letter.status, letter.superseded_by, letter.version) == ("superseded", "e1", 2)
    kept = by_kind(read_history(redis_client, "lgn_0"))["events"]
    assert [(event["event_id"], event["result"]) for event in kept] == [("d", "superseded"), ("e1", "recorded")]
    assert 0 < redis_client.ttl(HISTORY) <= 30 * 86_400
