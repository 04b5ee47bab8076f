"""The life of a backfill: loaded whole or not at all, paused or cancelled, finished, and kept for a while."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, Start, outcomes
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.models import Row, RowOutcome, Status
from worker.backfill.store import Backfills
from worker.errors import BackfillError, SameFile, UnknownBackfill
from worker.ledger import Ledger

DAY_MS = 86_400_000
WAITING = RowOutcome.WAITING


def test_no_row_is_fed_before_everything_is_loaded(
    backfills: Backfills, feeder: Feeder, clock: Clock, redis_client: Redis
) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000, first_digest="f")
    rows = [Row(line, f"login-{line}") for line in range(500)]
    for _ in range(2):
        backfills.put_chunk(backfill.id, 0, rows, "d0")
    assert feeder.feed() == 0
    assert DAY_MS - 1000 < redis_client.pttl(f"nightly:backfill:{backfill.id}:chunks") <= DAY_MS
    found = backfills.find_loading("f")
    assert found is not None
    assert (found.id, found.rows, found.chunks, found.digest_so_far) == (backfill.id, 500, 1, "d0")
    with pytest.raises(BackfillError, match="does not follow"):
        backfills.put_chunk(backfill.id, 2, rows, "d2")
    backfills.put_chunk(backfill.id, 1, rows[:1], "d1")
    with pytest.raises(BackfillError, match="does not follow"):
        backfills.put_chunk(backfill.id, 2, rows, "d2")
    assert backfills.commit(backfill.id, "d", by=ANN).status is Status.RUNNING
    assert backfills.commit(backfill.id, "d", by=ANN).rows == 501
    assert backfills.find_loading("f") is None
    assert redis_client.pttl(f"nightly:backfill:{backfill.id}:chunks") == -1
    with pytest.raises(BackfillError, match="is running"):
        backfills.put_chunk(backfill.id, 2, rows, "d2")
    assert backfills.chunk(backfill.id, 1) == rows[:1]


def test_an_abandoned_load_leaves_nothing(backfills: Backfills, redis_client: Redis, start: Start) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=1)
    backfills.put_chunk(backfill.id, 0, [Row(2, "one")], "d")
    backfills.forget(backfill.id)
    backfills.forget(backfill.id)
    assert redis_client.keys("nightly:backfill*") == []
    with pytest.raises(BackfillError, match="cancel it"):
        backfills.forget(start(["one"]))


def test_the_same_content_is_refused_unless_cancelled_or_repeated_on_purpose(
    backfills: Backfills,
) -> None:
    def load(digest: str, **how: bool) -> str:
        backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=1)
        backfills.put_chunk(backfill.id, 0, [Row(2, "one")], "d")
        return backfills.commit(backfill.id, digest, **how, by=ANN).id

    first = load("same")
    with pytest.raises(SameFile) as refused:
        load("same")
    assert refused.value.backfill_id == first
    second = load("same", again=True)
    backfills.cancel(second, by=ANN)
    load("same")


def test_an_empty_backfill_finishes_when_it_is_loaded(start: Start, backfills: Backfills) -> None:
    assert backfills.get(start([])).status is Status.FINISHED


def test_a_cancelled_backfill_ends_with_the_last_row_that_was_fed(
    backfills: Backfills, feeder: Feeder, start: Start, clock: Clock, claim: Any, settle: Any, redis_client: Redis
) -> None:
    backfill_id = start([f"login-{at}" for at in range(30)], rate=1)
    assert feeder.feed() == 2
    backfills.cancel(backfill_id, by=ANN)
    clock.ms += 60_000
    assert feeder.feed() == 0
    assert outcomes(backfills, backfill_id) == [WAITING] * 2 + [RowOutcome.CANCELLED] * 28
    assert backfills.get(backfill_id).ended_at is None
    for call in claim(calls_per_second=1000).claims:
        settle(call, "applied", code="applied")
    ended = backfills.get(backfill_id)
    assert (ended.status, ended.ended_at) == (Status.CANCELLED, clock.ms)
    assert (ended.counts["applied"], ended.counts["cancelled"], ended.counts["waiting"]) == (2, 28, 0)
    assert backfills.running() == []
    assert redis_client.pttl(f"nightly:backfill:{backfill_id}:rows") > 29 * DAY_MS


@pytest.mark.parametrize(
    ("before", "action"),
    [("", "resume"), ("pause", "pause"), ("cancel", "pause"), ("cancel", "resume"), ("cancel", "cancel")],
)
def test_an_action_that_the_status_does_not_allow_is_refused_in_one_sentence(
    backfills: Backfills, start: Start, before: str, action: str
) -> None:
    backfill_id = start(["one"])
    if before:
        getattr(backfills, before)(backfill_id, by=ANN)
    with pytest.raises(BackfillError, match=f"it cannot {action}"):
        getattr(backfills, action)(backfill_id, by=ANN)
    with pytest.raises(UnknownBackfill, match="no backfill 'bf-nobody'"):
        getattr(backfills, action)("bf-nobody", by=ANN)


def test_an_as_of_in_the_future_is_refused(start: Start, clock: Clock) -> None:
    with pytest.raises(BackfillError, match="future"):
        start(["one"], as_of_us=clock.ms * 1000 + 61_000_000)


def test_expired_backfills_leave_the_lists(
    backfills: Backfills, start: Start, redis_client: Redis, ledger: Ledger
) -> None:
    gone, kept = start(["one"]), start(["one"])
    redis_client.delete(f"nightly:backfill:{gone}")
    assert [backfill.id for backfill in backfills.all()] == [kept]
    ledger.pulse({}, worker="w", slots=1)
    assert redis_client.zrange("nightly:backfills", 0, -1) == [kept.encode()]
    assert redis_client.hkeys("nightly:backfill-digests") == [kept.encode()]
