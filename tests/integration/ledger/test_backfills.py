"""What becomes of a backfill's rows: handed over once each, and each with the one end that it came to."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, tally
from worker.backfill.feeder import Cursor, Feeder
from worker.backfill.model import Asks, Row, RowOutcome, RowResult, Status
from worker.backfill.store import Backfills
from worker.errors import BackfillError, LedgerMismatch, SameFile, UnknownBackfill
from worker.ledger import Ledger, Letters, Wish
from worker.ledger.gate import GateKeeper
from worker.ledger.views import Views
from worker.seal import Vault

DAY_MS = 86_400_000
APPLIED, WAITING, DUPLICATE = RowOutcome.APPLIED, RowOutcome.WAITING, RowOutcome.DUPLICATE
SUPERSEDED, ALREADY, DEAD, INVALID = RowOutcome.SUPERSEDED, RowOutcome.ALREADY, RowOutcome.DEAD, RowOutcome.INVALID
Start = Callable[..., str]


@pytest.fixture
def backfills(redis_client: Redis, clock: Clock, vault: Vault) -> Backfills:
    return Backfills(redis_client, vault, now_ms=clock)


@pytest.fixture
def feeder(backfills: Backfills, vault: Vault) -> Feeder:
    return Feeder(backfills, vault)


@pytest.fixture
def start(backfills: Backfills, clock: Clock) -> Start:
    def start(logins: Sequence[str], **terms: Any) -> str:
        given = {"instance": INSTANCE, "wish": "on", "as_of_us": clock.ms * 1000} | terms
        backfill = backfills.create(**given)
        rows = [Row(line, login, problem="" if login else "is empty") for line, login in enumerate(logins, 2)]
        for at in range(0, len(rows), 500):
            backfills.put_chunk(backfill.id, at // 500, rows[at : at + 500], f"d{at}")
        return backfills.commit(backfill.id, backfill.id).id

    return start


def outcomes(backfills: Backfills, backfill_id: str) -> list[RowOutcome]:
    return [one.outcome for one in backfills.results(backfill_id, 0, 10_000)]


def live(vault: Vault, login: str, occurred_us: int, *, on: bool) -> Wish:
    return Wish(vault.reference(INSTANCE, login), INSTANCE, b"sealed", occurred_us, on, "live")


# -- one row -----------------------------------------------------------------------------------------------


def test_a_row_is_called_as_a_wish_of_its_time_and_ends_with_the_confirmation(
    backfills: Backfills, feeder: Feeder, start: Start, clock: Clock, vault: Vault, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one"])
    assert feeder.feed() == 1
    (call,) = claim(calls_per_second=1000).claims
    assert (vault.open_login(call.reference, call.sealed), call.wants_active) == ("one", True)
    assert outcomes(backfills, backfill_id) == [WAITING]
    clock.ms += 1500
    settle(call, "applied", code="applied")
    assert backfills.results(backfill_id, 0, 9) == [RowResult(APPLIED, "", clock.ms // 1000 * 1000)]
    found = backfills.get(backfill_id)
    assert (found.status, found.ended_at, found.counts["applied"]) == (Status.FINISHED, clock.ms, 1)


def test_an_unusual_success_keeps_its_code(
    backfills: Backfills, feeder: Feeder, start: Start, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one", "two", "three"])
    feeder.feed()
    for call, code in zip(claim(calls_per_second=1000).claims, ["unconfirmed", "applied", "unconfirmed"], strict=True):
        settle(call, "applied", code=code)
    codes = sorted(one.code for one in backfills.results(backfill_id, 0, 3))
    assert codes == ["", "unconfirmed", "unconfirmed"]


@pytest.mark.parametrize("ahead_us", [0, 1])
def test_a_newer_event_wins_over_a_row_and_an_older_one_does_not(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, vault: Vault, ahead_us: int
) -> None:
    as_of_us = clock.ms * 1000
    ledger.record([live(vault, "one", as_of_us - 1 + 2 * ahead_us, on=False)])
    backfill_id = start(["one"])
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [SUPERSEDED if ahead_us else WAITING]
    assert tally(ledger, "recorded") == 2
    assert tally(ledger, "superseded") == 1


@pytest.mark.parametrize("is_in_flight", [False, True])
def test_a_live_event_for_a_waiting_row_supersedes_it_and_goes_first(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
    *,
    is_in_flight: bool,
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    flights = claim(calls_per_second=1000).claims if is_in_flight else []
    ledger.record([live(vault, "one", clock.ms * 1000 + 1, on=False)])
    assert outcomes(backfills, backfill_id) == [SUPERSEDED]
    assert ledger.redis.zcard(f"nightly:due:{INSTANCE}:backfill") == 0
    for call in flights:
        settle(call, "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [SUPERSEDED]
    assert backfills.get(backfill_id).status is Status.FINISHED
    assert not ledger.redis.hexists(f"nightly:login:{vault.reference(INSTANCE, 'one')}", "p")


def test_a_login_that_is_as_wished_costs_no_call_unless_the_backfill_asserts_again(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    ledger.record([live(vault, "one", clock.ms * 1000 - 10, on=True)])
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    first = start(["one", "one"])
    feeder.feed()
    assert outcomes(backfills, first) == [ALREADY, DUPLICATE]
    assert backfills.get(first).status is Status.FINISHED
    assert tally(ledger, "recorded") == 1
    older = live(vault, "one", clock.ms * 1000 - 5, on=False)
    assert [str(one) for one in ledger.record([older])] == ["superseded"], (
        "the wish has moved on to the backfill's time"
    )
    clock.ms += 1000
    second = start(["one"], reassert=True)
    feeder.feed()
    assert outcomes(backfills, second) == [WAITING]
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert outcomes(backfills, second) == [APPLIED]


def test_as_is_calls_what_was_applied_once_more_with_its_own_wish_and_time(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    event = live(vault, "one", clock.ms * 1000 - 10, on=False)
    ledger.record([event])
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    ledger.record([live(vault, "two", clock.ms * 1000, on=True)])
    backfill_id = start(["one", "two", "nobody"], wish=Asks.AS_IS)
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [WAITING, ALREADY, INVALID]
    assert backfills.results(backfill_id, 2, 1)[0].code == "unknown_login"
    assert [str(one) for one in ledger.record([event])] == ["duplicate"], "its event is still its event"
    again = {call.reference: call for call in claim(calls_per_second=1000).claims}[event.reference]
    assert (again.wants_active, again.revision) == (False, 2)
    settle(again, "applied", code="applied")
    assert outcomes(backfills, backfill_id)[0] is APPLIED
    assert tally(ledger, "applied_off") == 1, "an event is counted once"


def test_a_dead_row_says_why_and_waits_again_when_its_letter_is_replayed(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one", "two"])
    feeder.feed()
    letters = Letters(ledger.redis, now_ms=clock)
    dies, lives = claim(calls_per_second=1000).claims
    settle(dies, "dead", code="DISABLED_LOGIN", http_status=401)
    settle(lives, "applied", code="applied")
    key = f"nightly:backfill:{backfill_id}"
    results = backfills.results(backfill_id, 0, 2)
    assert sorted((str(one.outcome), one.code) for one in results) == [("applied", ""), ("dead", "DISABLED_LOGIN")]
    assert backfills.get(backfill_id).status is Status.FINISHED
    assert 29 * DAY_MS < ledger.redis.pttl(key) <= 30 * DAY_MS
    letters.close(next(letters.list()).id, "replayed", by="ann")
    waits = backfills.get(backfill_id)
    assert (waits.status, waits.ended_at, waits.counts["waiting"], waits.counts["dead"]) == (Status.RUNNING, None, 1, 0)
    assert [ledger.redis.pttl(name) for name in (key, f"{key}:chunks", f"{key}:rows")] == [-1, -1, -1]
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [APPLIED, APPLIED]
    assert backfills.get(backfill_id).status is Status.FINISHED


def test_a_row_whose_workers_die_ten_times_is_dead(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, claim: Any
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    for _ in range(10):
        clock.ms += 3_600_001
        assert claim(calls_per_second=1000).claims
        clock.ms += 15_001
        ledger.pulse({}, rest_after_lease_seconds=1)
    assert backfills.results(backfill_id, 0, 1)[0].code == "retries_exhausted"


def test_ends_of_rows_whose_backfill_is_gone_are_not_written(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    ledger.redis.delete(*ledger.redis.keys("nightly:backfill:*"))
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert ledger.redis.keys("nightly:backfill:*") == []
    with pytest.raises(UnknownBackfill):
        backfills.results(backfill_id, 0, 1)


def test_a_row_that_was_as_wished_is_a_new_revision_that_is_confirmed_already(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    ledger.record([live(vault, "one", clock.ms * 1000 - 10, on=False)])
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    backfill = backfills.create(instance=INSTANCE, wish="off", as_of_us=clock.ms * 1000)
    backfills.put_chunk(backfill.id, 0, [Row(2, "one", "cust-9"), Row(3, "", problem="is empty")], "")
    backfills.commit(backfill.id, "d")
    feeder.feed()
    assert outcomes(backfills, backfill.id) == [ALREADY, INVALID]
    found = Views(ledger.redis, now_ms=clock).login(vault.reference(INSTANCE, "one"))
    assert found is not None
    assert (found["revision"], found["confirmed_revision"], found["account_id"]) == (2, 2, "cust-9")
    assert (found["state"], found["event_id"]) == ("applied", f"{backfill.id}:0")
    start(["one"], wish="off", as_of_us=clock.ms * 1000 + 1)
    feeder.feed()
    assert ledger.redis.hget(f"nightly:login:{found['login']}", "a") == b"cust-9", "no account id takes none away"


# -- handing over ------------------------------------------------------------------------------------------


def test_of_two_feeders_that_saw_the_same_cursor_one_hands_over(
    backfills: Backfills, vault: Vault, start: Start, ledger: Ledger
) -> None:
    backfill_id = start([f"login-{at}" for at in range(30)])
    first, second = (Feeder(backfills, vault) for _ in range(2))
    seen = [Cursor(backfills, backfills.get(backfill_id)) for _ in range(2)]
    assert [first._hand_over(seen[0], 5), second._hand_over(seen[1], 5)] == [True, False]
    assert (backfills.get(backfill_id).fed, tally(ledger, "recorded")) == (5, 5)


@pytest.mark.parametrize(
    ("before", "first", "why"), [("pause", 0, "paused"), ("cancel", 0, "cancelled"), ("", 1, "moved")]
)
def test_a_feeder_that_is_late_hands_nothing_over(
    backfills: Backfills, start: Start, ledger: Ledger, before: str, first: int, why: str
) -> None:
    backfill_id = start(["one"])
    if before:
        getattr(backfills, before)(backfill_id)
    assert backfills.feed(backfill_id, first, ["lgn_1", b"sealed", ""]) == (why, 0, 0)
    assert backfills.feed("bf-nobody", 0, ["lgn_1", b"sealed", ""]) == ("unknown", 0, 0)
    assert (tally(ledger, "recorded"), outcomes(backfills, backfill_id)[0] is APPLIED) == (0, False)


def test_nothing_is_handed_over_into_a_ledger_of_a_newer_shape(
    backfills: Backfills, start: Start, redis_client: Redis
) -> None:
    backfill_id = start(["one"])
    redis_client.hset("nightly:meta", "schema", 99)
    for act in (
        lambda: backfills.feed(backfill_id, 0, ["lgn_1", b"sealed", ""]),
        lambda: backfills.pause(backfill_id),
        lambda: backfills.put_chunk(backfill_id, 0, [], ""),
        lambda: backfills.commit(backfill_id, "d"),
    ):
        with pytest.raises(LedgerMismatch):
            act()


def test_a_feeder_goes_on_over_chunks_where_a_killed_one_left_off(
    backfills: Backfills, vault: Vault, feeder: Feeder, start: Start, ledger: Ledger
) -> None:
    backfill_id = start(["same"] * 1100)  # all but one end without a call, so none fills the lane
    Feeder(backfills, vault)._hand_over(Cursor(backfills, backfills.get(backfill_id)), 499)
    assert feeder.feed() == 601
    assert outcomes(backfills, backfill_id) == [WAITING, *[DUPLICATE] * 1099]
    assert ledger.redis.strlen(f"nightly:backfill:{backfill_id}:rows") == 6 * 1100


def test_the_lane_takes_two_seconds_of_work_and_a_tenth_while_live_events_wait(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, vault: Vault, redis_client: Redis
) -> None:
    redis_client.hset(f"nightly:rate:{INSTANCE}", "ceiling", 50)
    backfill_id = start([f"login-{at}" for at in range(300)])
    assert (feeder.feed(), feeder.feed()) == (100, 0)
    assert ledger.pulse({INSTANCE: "proven-one"}, worker="w", slots=2).should_feed is False
    redis_client.delete(f"nightly:due:{INSTANCE}:backfill")
    ledger.record([live(vault, f"live-{at}", clock.ms * 1000, on=True) for at in range(51)])
    assert feeder.feed() == 16, "a lane that has every tenth call holds fewer"
    assert backfills.get(backfill_id).fed == 116


def test_logins_that_wait_for_a_later_try_hold_rows_up_only_when_they_are_many(
    feeder: Feeder, start: Start, clock: Clock, redis_client: Redis
) -> None:
    start([f"login-{at}" for at in range(300)])
    lane = f"nightly:due:{INSTANCE}:backfill"
    redis_client.zadd(lane, {f"lgn_{at}": clock.ms + 60_000 for at in range(990)})
    assert feeder.feed() == 10
    redis_client.delete(lane)
    redis_client.zadd(lane, {f"lgn_{at}": clock.ms + 60_000 for at in range(100)})
    assert feeder.feed() == 20


def test_two_backfills_share_the_room_and_one_takes_what_the_other_leaves(
    backfills: Backfills, feeder: Feeder, start: Start, redis_client: Redis
) -> None:
    redis_client.hset(f"nightly:rate:{INSTANCE}", "ceiling", 50)
    large = start([f"large-{at}" for at in range(600)])
    other = start([f"other-{at}" for at in range(600)])
    assert feeder.feed() == 100
    assert (backfills.get(large).fed, backfills.get(other).fed) == (50, 50)
    redis_client.delete(f"nightly:due:{INSTANCE}:backfill")
    backfills.cancel(other)
    small = start([f"small-{at}" for at in range(3)])
    assert feeder.feed() == 100
    assert (backfills.get(large).fed, backfills.get(small).fed) == (147, 3)


def test_instances_have_lanes_of_their_own_and_a_shut_gate_takes_nothing(
    backfills: Backfills, feeder: Feeder, start: Start, redis_client: Redis, clock: Clock
) -> None:
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="because")
    here, there = start(["one"]), start(["one"], instance="acme")
    assert feeder.feed() == 1
    assert (backfills.get(here).fed, backfills.get(there).fed) == (0, 1)
    GateKeeper(redis_client, now_ms=clock).open(INSTANCE, by="ann")
    assert feeder.feed() == 1


def test_a_rate_of_its_own_holds_a_backfill_back(feeder: Feeder, start: Start, clock: Clock) -> None:
    start([f"login-{at}" for at in range(300)], rate=2)
    assert feeder.feed() == 4, "two seconds of it at once"
    handed_over = 0
    for _ in range(10):
        clock.ms += 500
        handed_over += feeder.feed()
    assert handed_over == 10


def test_a_rate_below_one_a_second_still_moves(feeder: Feeder, start: Start, clock: Clock) -> None:
    start(["one", "two", "three"], rate=0.1)
    fed = []
    for _ in range(3):
        fed.append(feeder.feed())
        clock.ms += 5_000
    assert fed == [1, 0, 1]


def test_nothing_is_handed_over_in_quiet_hours(
    feeder: Feeder, start: Start, clock: Clock, redis_client: Redis, ledger: Ledger
) -> None:
    start(["one"], quiet="22:00-23:00", timezone="UTC")  # the clock stands at 22:13
    assert feeder.feed() == 0
    assert redis_client.pttl("nightly:feed-hint") > 1000, "nobody is asked to feed every second meanwhile"
    assert not ledger.pulse({INSTANCE: "proven-one"}, worker="w", slots=2).should_feed
    clock.ms += 3_600_000
    assert feeder.feed() == 1


def test_a_pulse_asks_for_rows_once_a_second_while_there_are_some_and_calls_may_be_made(
    backfills: Backfills, start: Start, ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    def asks(instance: str = INSTANCE, slots: int = 2) -> bool:
        return ledger.pulse({instance: "proven-one"}, worker="w", slots=slots).should_feed

    assert not asks()
    backfill_id = start(["one"])
    assert not asks("acme")
    assert not asks(slots=0), "who only asks whether work is due"
    assert (asks(), asks()) == (True, False)
    redis_client.delete("nightly:feed-hint")
    backfills.pause(backfill_id)
    assert not asks()
    backfills.resume(backfill_id)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="because")
    assert not asks()


def test_an_account_id_that_is_the_loginid_is_masked(
    backfills: Backfills, feeder: Feeder, redis_client: Redis, vault: Vault, clock: Clock
) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000)
    backfills.put_chunk(backfill.id, 0, [Row(2, "se-cret", "SECRET"), Row(3, "other", "cust-1")], "")
    backfills.commit(backfill.id, "d")
    feeder.feed()
    accounts = [
        redis_client.hget(f"nightly:login:{vault.reference(INSTANCE, one)}", "a") for one in ("se-cret", "other")
    ]
    assert accounts[0].startswith(b"masked-")
    assert accounts[1] == b"cust-1"
    stored = b" ".join(redis_client.dump(key) for key in redis_client.keys("*")).lower()
    assert b"se-cret" not in stored


# -- the life of a backfill ---------------------------------------------------------------------------------


def test_nothing_is_handed_over_before_everything_is_loaded(
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
    assert backfills.commit(backfill.id, "d").status is Status.RUNNING
    assert backfills.commit(backfill.id, "d").rows == 501
    assert backfills.find_loading("f") is None
    assert redis_client.pttl(f"nightly:backfill:{backfill.id}:chunks") == -1
    with pytest.raises(BackfillError, match="is running"):
        backfills.put_chunk(backfill.id, 2, rows, "d2")
    assert backfills.chunk(backfill.id, 1) == rows[:1]


def test_a_load_that_is_given_up_leaves_nothing(backfills: Backfills, redis_client: Redis, start: Start) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=1)
    backfills.put_chunk(backfill.id, 0, [Row(2, "one")], "d")
    backfills.forget(backfill.id)
    backfills.forget(backfill.id)
    assert redis_client.keys("nightly:backfill*") == []
    with pytest.raises(BackfillError, match="cancel it"):
        backfills.forget(start(["one"]))


def test_the_same_content_is_noticed_unless_it_was_cancelled_or_is_asked_for_again(
    backfills: Backfills,
) -> None:
    def load(digest: str, **how: bool) -> str:
        backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=1)
        backfills.put_chunk(backfill.id, 0, [Row(2, "one")], "d")
        return backfills.commit(backfill.id, digest, **how).id

    first = load("same")
    with pytest.raises(SameFile) as refused:
        load("same")
    assert refused.value.backfill_id == first
    found = backfills.find_same("same")
    assert found is not None
    assert found.id == first
    second = load("same", again=True)
    backfills.cancel(second)
    assert backfills.find_same("same") is None
    load("same")


def test_an_empty_backfill_has_ended_when_it_is_loaded(start: Start, backfills: Backfills) -> None:
    assert backfills.get(start([])).status is Status.FINISHED


def test_a_cancelled_backfill_ends_with_the_last_call_that_was_handed_over(
    backfills: Backfills, feeder: Feeder, start: Start, clock: Clock, claim: Any, settle: Any, redis_client: Redis
) -> None:
    backfill_id = start([f"login-{at}" for at in range(30)], rate=1)
    assert feeder.feed() == 2
    backfills.cancel(backfill_id)
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
def test_what_the_state_forbids_is_refused_by_one_clear_sentence(
    backfills: Backfills, start: Start, before: str, action: str
) -> None:
    backfill_id = start(["one"])
    if before:
        getattr(backfills, before)(backfill_id)
    with pytest.raises(BackfillError, match=f"it cannot {action}"):
        getattr(backfills, action)(backfill_id)
    with pytest.raises(UnknownBackfill, match="no backfill 'bf-nobody'"):
        getattr(backfills, action)("bf-nobody")


def test_a_wish_of_the_future_is_refused(start: Start, clock: Clock) -> None:
    with pytest.raises(BackfillError, match="future"):
        start(["one"], as_of_us=clock.ms * 1000 + 61_000_000)


def test_what_has_expired_leaves_the_lists_when_the_next_one_begins(
    backfills: Backfills, start: Start, redis_client: Redis
) -> None:
    gone = start(["one"])
    redis_client.delete(f"nightly:backfill:{gone}")
    assert backfills.all() == []
    kept = start(["one"])
    assert redis_client.zrange("nightly:backfills", 0, -1) == [kept.encode()]
    assert redis_client.hkeys("nightly:backfill-digests") == [kept.encode()]
