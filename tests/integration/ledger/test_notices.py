"""Notices, and ledgers of a newer schema, another key or another kind."""

from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import (
    INSTANCE,
    Clock,
    claim_all,
    refuse,
    wishes,
)
from tests.people import ANN
from worker.errors import LedgerMismatch
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views

FP = "proven-one"


def test_a_notice_goes_to_one_worker_and_to_another_if_that_one_died(ledger: Ledger, clock: Clock) -> None:
    GateKeeper(ledger.redis, now_ms=clock).close(INSTANCE, by=ANN, reason="x|y")
    assert ledger.pulse({}).notices == (), "only workers pass on"
    of_the_audit_log, notice = ledger.pulse({}, worker="a", slots=2).notices
    ledger.forget_notice(of_the_audit_log)
    assert (notice.kind, notice.parts[0]) == ("gate", INSTANCE)
    assert '"detail":"x|y"' in notice.parts[1]
    assert ledger.pulse({}, worker="b", slots=2).notices == ()
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b", slots=2).notices == (notice,)
    ledger.forget_notice(notice)
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b", slots=2).notices == ()


def test_a_new_group_gives_notice_after_ten_seconds_and_a_storm_replaces_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for one in claim_all(clock, claim, 2):
        settle(one, "dead", code="DISABLED_LOGIN")
    refuse(claim_all(clock, claim, 25), settle)
    clock.ms += 10_000
    told = [notice.parts for notice in ledger.pulse({}, worker="a", slots=2).notices]
    assert len(told) == 2
    assert [INSTANCE, "DISABLED_LOGIN", "on"] in told


def test_a_group_gives_notice_once_while_it_has_open_letters(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    letters = Letters(ledger.redis, now_ms=clock)
    told = []
    for at, one in enumerate(claim_all(clock, claim, 3, lease_seconds=60)):
        if at == 2:
            for letter in ledger_calls.list_letters(letters):
                ledger_calls.close(letters, letter.id, "resolved", by="ann")
        settle(one, "dead", code="DISABLED_LOGIN")
        clock.ms += 10_000
        notices = ledger.pulse({}, worker="a", slots=2).notices
        told.append(len([notice for notice in notices if notice.kind == "group"]))
        for notice in notices:
            ledger.forget_notice(notice)
    assert told == [1, 0, 1]


def test_code_older_than_the_ledger_claims_nothing_and_settles_its_calls(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.open_ledger("key")
    ledger.record(wishes(2))
    (held,) = claim(at_most=1).claims
    redis_client.hset("nightly:meta", "schema", 99)
    assert claim().state == "newer"
    for refused in (
        lambda: ledger.record(wishes(1, minute=1)),
        lambda: ledger.pulse({}, worker="a", slots=2),
        lambda: ledger.open_ledger("key"),
        lambda: ledger.open_ledger("key", only_look=True),
    ):
        with pytest.raises(LedgerMismatch, match="newer Nightly"):
            refused()
    assert settle(held, "applied") is Settled.APPLIED
    assert redis_client.hget("nightly:meta", "schema") == b"99"


def test_only_a_worker_marks_a_ledger_or_raises_its_schema(ledger: Ledger, redis_client: Redis) -> None:
    ledger.open_ledger("key", only_look=True)
    assert not redis_client.exists("nightly:meta")
    ledger.open_ledger("key")
    redis_client.hset("nightly:meta", "schema", 0)
    ledger.open_ledger("key", only_look=True)
    assert redis_client.hget("nightly:meta", "schema") == b"0"
    ledger.open_ledger("key")
    assert redis_client.hget("nightly:meta", "schema") == b"8"
    with pytest.raises(LedgerMismatch, match="LOGIN_KEYS"):
        ledger.open_ledger("another")


@pytest.mark.parametrize(("is_sandbox", "words"), [(True, "begun as a sandbox"), (False, "begun in production")])
def test_a_sandbox_and_production_never_share_a_ledger(
    ledger: Ledger,
    redis_client: Redis,
    is_sandbox: bool,  # noqa: FBT001 - a parameter of the test
    words: str,
) -> None:
    assert Views(redis_client).status()["ledger"] is None
    for _ in range(2):  # two workers, or one that starts again
        ledger.open_ledger("key", is_sandbox=is_sandbox)
    for key in ("key", "another"):
        with pytest.raises(LedgerMismatch, match=words):
            ledger.open_ledger(key, is_sandbox=not is_sandbox)
    for only_looks in (True, False):
        ledger.open_ledger("key", is_sandbox=only_looks, only_look=True)
    assert Views(redis_client).status()["ledger"] == ("sandbox" if is_sandbox else "production")
    redis_client.flushall()
    ledger.open_ledger("key", is_sandbox=not is_sandbox)
