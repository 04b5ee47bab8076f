"""How rows are fed: each once, by one feeder, and only while calls may be made."""

import pytest
from redis import Redis
from structlog.testing import capture_logs

from tests.integration.ledger.conftest import (
    FINGERPRINTS,
    INSTANCE,
    Clock,
    Start,
    outcomes,
    tally,
)
from tests.people import ANN
from worker.backfill.feeder import Feeder, RowCursor
from worker.backfill.models import Row, RowOutcome
from worker.backfill.store import Backfills
from worker.errors import LedgerMismatch
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper
from worker.vault.vault import Vault

APPLIED, WAITING, DUPLICATE = RowOutcome.APPLIED, RowOutcome.WAITING, RowOutcome.DUPLICATE


def test_of_two_feeders_at_the_same_cursor_only_one_feeds(
    backfills: Backfills, vault: Vault, start: Start, ledger: Ledger
) -> None:
    backfill_id = start([f"login-{at}" for at in range(30)])
    first, second = (Feeder(backfills, vault, FINGERPRINTS) for _ in range(2))
    seen = [RowCursor(each, backfills.get(backfill_id)) for each in (first, second)]
    assert [each.hand_over(5) for each in seen] == [True, False]
    assert (backfills.get(backfill_id).fed, tally(ledger, "recorded")) == (5, 5)


@pytest.mark.parametrize(
    ("before", "first", "why"), [("pause", 0, "paused"), ("cancel", 0, "cancelled"), ("", 1, "moved")]
)
def test_a_late_feeder_feeds_nothing(
    backfills: Backfills, start: Start, ledger: Ledger, before: str, first: int, why: str
) -> None:
    backfill_id = start(["one"])
    if before:
        getattr(backfills, before)(backfill_id, by=ANN)
    assert backfills.feed(backfill_id, first, ["lgn_1", b"sealed", ""], fingerprint="proven-one") == (why, 0, 0)
    assert backfills.feed("bf-nobody", 0, ["lgn_1", b"sealed", ""], fingerprint="proven-one") == ("unknown", 0, 0)
    assert (tally(ledger, "recorded"), outcomes(backfills, backfill_id)[0] is APPLIED) == (0, False)


def test_nothing_is_fed_into_a_ledger_of_a_newer_schema(
    backfills: Backfills, start: Start, redis_client: Redis
) -> None:
    backfill_id = start(["one"])
    redis_client.hset("nightly:meta", "schema", 99)
    for act in (
        lambda: backfills.feed(backfill_id, 0, ["lgn_1", b"sealed", ""], fingerprint="proven-one"),
        lambda: backfills.pause(backfill_id, by=ANN),
        lambda: backfills.put_chunk(backfill_id, 0, [], ""),
        lambda: backfills.commit(backfill_id, "d", by=ANN),
    ):
        with pytest.raises(LedgerMismatch):
            act()


def test_a_feeder_continues_across_chunks_after_a_killed_one(
    backfills: Backfills, vault: Vault, feeder: Feeder, start: Start, ledger: Ledger
) -> None:
    backfill_id = start(["same"] * 1100)  # all but one end without a call, so none fills the lane
    RowCursor(Feeder(backfills, vault, FINGERPRINTS), backfills.get(backfill_id)).hand_over(499)
    assert feeder.feed() == 601
    assert outcomes(backfills, backfill_id) == [WAITING, *[DUPLICATE] * 1099]
    assert ledger.redis.strlen(f"nightly:backfill:{backfill_id}:rows") == 6 * 1100


def test_a_pulse_asks_for_rows_once_a_second_while_rows_are_left_and_calls_may_be_made(
    backfills: Backfills, start: Start, ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    def asks(instance: str = INSTANCE, slots: int = 2) -> bool:
        return ledger.pulse({instance: "proven-one"}, worker="w", slots=slots).should_feed

    assert not asks()
    backfill_id = start(["one"])
    assert not asks("acme")
    assert not asks(slots=0), "a pulse without slots"
    assert (asks(), asks()) == (True, False)
    redis_client.delete("nightly:feed-hint")
    backfills.pause(backfill_id, by=ANN)
    assert not asks()
    backfills.resume(backfill_id, by=ANN)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    assert not asks()


def test_an_account_id_that_is_the_loginid_is_masked(
    backfills: Backfills, feeder: Feeder, redis_client: Redis, vault: Vault, clock: Clock
) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000)
    backfills.put_chunk(backfill.id, 0, [Row(2, "se-cret", "SECRET"), Row(3, "other", "cust-1")], "")
    backfills.commit(backfill.id, "d", by=ANN)
    feeder.feed()
    accounts = [
        redis_client.hget(f"nightly:login:{vault.reference(INSTANCE, one)}", "a") for one in ("se-cret", "other")
    ]
    assert accounts[0].startswith(b"masked-")
    assert accounts[1] == b"cust-1"
    stored = b" ".join(redis_client.dump(key) for key in redis_client.keys("*")).lower()
    assert b"se-cret" not in stored


def without_the_key(ledger: Ledger, clock: Clock) -> Feeder:
    other = Vault([bytes(32)])
    return Feeder(Backfills(ledger.redis, other, now_ms=clock), other, FINGERPRINTS)


def test_a_feeder_that_lacks_the_key_of_a_backfill_leaves_it_to_one_that_has_it(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock
) -> None:
    backfill_id = start(["one", "two"])
    lacking = without_the_key(ledger, clock)
    ledger.pulse({}, worker="b", slots=2, about={"keys": feeder._vault.key_ids})
    with capture_logs() as lines:
        assert lacking.feed() == 0
    assert lines == []
    assert lacking.leaves_rows_to_others
    assert not ledger.redis.exists("nightly:missing-keys")
    assert outcomes(backfills, backfill_id) == [WAITING, WAITING]
    assert feeder.feed() == 2
    assert not feeder.leaves_rows_to_others


def test_a_missing_key_of_a_backfill_gives_notice_after_a_minute(
    vault: Vault, start: Start, ledger: Ledger, clock: Clock
) -> None:
    start(["one"])
    lacking, told = without_the_key(ledger, clock), []
    for _ in range(2):
        assert lacking.feed() == 0
        assert not lacking.leaves_rows_to_others, "no worker can open it, so the message is not passed on"
        told.append([each.parts for each in ledger.pulse({}, worker="a", slots=2).notices if each.kind == "key"])
        clock.ms += 60_000
    assert told == [[], [[vault.key_ids[0], str(clock.ms - 120_000)]]]
