"""Logins that are sealed under a key which one worker, or every worker, lacks."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, tally, wishes
from worker.ledger import ClaimReply, Lane, Ledger, Wish
from worker.ledger.queries import Views
from worker.vault.vault import Vault

OLD_KEY, NEW_KEY, OTHER_KEY = (bytes([number]) * 32 for number in range(3))
OLD, NEW, OTHER = Vault([OLD_KEY]), Vault([NEW_KEY, OLD_KEY]), Vault([OTHER_KEY, OLD_KEY])
(OLD_ID,) = OLD.key_ids
NEW_ID, OTHER_ID = NEW.key_ids[0], OTHER.key_ids[0]
MINE = {INSTANCE: "proven-one"}
DUE = f"nightly:due:{INSTANCE}:live"
FAST: dict[str, Any] = {"calls_per_second": 1000, "max_in_flight": 1000}
Claims = Callable[..., ClaimReply]


def sealed(vault: Vault, *names: str, lane: Lane = Lane.LIVE) -> list[Wish]:
    """Return wishes for logins of these names, sealed by this vault."""
    (wish,) = wishes(1)
    return [
        replace(wish, reference=f"lgn_{name}", sealed=vault.seal_login(f"lgn_{name}", name), lane=lane)
        for name in names
    ]


def lives(ledger: Ledger, worker: str, vault: Vault, *, slots: int = 2) -> None:
    ledger.pulse({}, worker=worker, slots=slots, about={"keys": vault.key_ids})


def taken(reply: ClaimReply) -> list[str]:
    return [call.reference.removeprefix("lgn_") for call in reply.claims]


def is_woken(ledger: Ledger, worker: str) -> bool:
    return ledger.pulse(MINE, worker=worker).should_wake


# -- while a live worker holds the key ---------------------------------------------------------------------


@pytest.mark.parametrize("lane", list(Lane))
def test_a_login_whose_key_another_live_worker_holds_is_left_to_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Claims, lane: Lane
) -> None:
    lives(ledger, "b", NEW)
    ledger.record([*sealed(NEW, "new", lane=lane), *sealed(OLD, "old", lane=lane)])
    before = redis_client.hgetall("nightly:login:lgn_new")
    assert taken(claim(key_ids=OLD.key_ids)) == ["old"]
    assert redis_client.hgetall("nightly:login:lgn_new") == before
    assert redis_client.zrange(f"nightly:due:{INSTANCE}:{lane}", 0, -1) == [b"lgn_new"]
    assert redis_client.zrange(f"nightly:leases:{INSTANCE}", 0, -1) == [b"lgn_old"]
    assert redis_client.hget(f"nightly:rate:{INSTANCE}", "turn") == b"1", "it used no call of the rate"
    assert not redis_client.exists("nightly:missing-keys")
    clock.ms += 1000
    assert taken(claim(key_ids=NEW.key_ids)) == ["new"]


def test_a_value_without_a_key_id_is_claimed_by_any_worker(ledger: Ledger, claim: Claims) -> None:
    ledger.record(wishes(1))
    assert claim(key_ids=OLD.key_ids).claims[0].sealed == b"sealed"


def test_a_worker_finds_its_own_logins_behind_many_that_it_cannot_open(ledger: Ledger, claim: Claims) -> None:
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, *(f"a{number:03}" for number in range(700))))
    ledger.record(sealed(OLD, "z-own"))
    assert taken(claim(key_ids=OLD.key_ids, **FAST)) == ["z-own"]


def test_a_worker_finds_its_logins_behind_thousands_of_a_worker_that_cannot_call(
    ledger: Ledger, clock: Clock, claim: Claims
) -> None:
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, *(f"a{number:04}" for number in range(3000))))
    clock.ms += 1
    ledger.record(sealed(OLD, *(f"z{number:03}" for number in range(100))))
    looks, found = 0, set()
    while len(found) < 100 and looks < 500:
        looks, clock.ms = looks + 1, clock.ms + 19
        lives(ledger, "b", NEW)
        found |= set(taken(claim(key_ids=OLD.key_ids, **FAST)))
    assert len(found) == 100, f"{looks} claims found {len(found)}"


def test_a_canary_is_a_login_that_the_caller_can_open(ledger: Ledger, claim: Claims) -> None:
    lives(ledger, "b", NEW)
    ledger.record([*sealed(NEW, *(f"a{number:02}" for number in range(30))), *sealed(OLD, "b", "c")])
    assert taken(claim(key_ids=OLD.key_ids, fingerprint="unproven")) == ["b"]


def test_a_worker_that_can_open_no_due_login_ends_and_is_asked_again_once_a_second(
    ledger: Ledger, redis_client: Redis, claim: Claims
) -> None:
    lives(ledger, "a", OLD)
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, "new"))
    assert ledger.join_reconcilers("a", "one")
    reply = claim(key_ids=OLD.key_ids)
    assert (reply.state, reply.wait_seconds) == ("foreign", None)
    ledger.leave_reconcilers("a", "one")
    assert not is_woken(ledger, "a"), "it would find the same logins again"
    assert is_woken(ledger, "b"), "a worker with the key is asked at once"
    assert 0 < redis_client.pttl(f"nightly:hint:{OLD_ID}") <= 1000


def test_a_reconciler_without_a_workers_newest_key_does_not_count_for_it(ledger: Ledger) -> None:
    lives(ledger, "a", OLD)
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, "new"))
    assert ledger.join_reconcilers("a", "one") == 1
    assert not is_woken(ledger, "a")
    assert is_woken(ledger, "b")
    assert ledger.join_reconcilers("b", "two") == 2
    assert not is_woken(ledger, "b")
    ledger.leave_reconcilers("a", "one")
    assert not is_woken(ledger, "a"), "the reconciler of the other holds its key, too"


def test_a_worker_counts_only_slots_of_workers_with_its_newest_key(ledger: Ledger) -> None:
    lives(ledger, "a", OLD, slots=9)
    lives(ledger, "b", NEW, slots=2)
    ledger.record(sealed(NEW, *map(str, range(150))))
    assert ledger.join_reconcilers("b", "one")
    assert not is_woken(ledger, "b"), "its slot is taken, and the other worker lacks the key"
    assert is_woken(ledger, "a"), "due logins that it cannot open count, too"


def test_a_new_reconciler_allows_the_next_message_for_each_of_its_keys(ledger: Ledger, redis_client: Redis) -> None:
    lives(ledger, "b", NEW)
    for name in (f"nightly:hint:{NEW_ID}", f"nightly:hint:{OLD_ID}", f"nightly:hint:{OTHER_ID}"):
        redis_client.set(name, "1")
    assert ledger.join_reconcilers("b", "one")
    assert redis_client.keys("nightly:hint*") == [f"nightly:hint:{OTHER_ID}".encode()]


# -- while no live worker holds the key --------------------------------------------------------------------


def missing(ledger: Ledger, clock: Clock) -> list[tuple[str, float]]:
    return [(key["key_id"], key["seconds"]) for key in Views(ledger.redis, now_ms=clock).missing_keys(clock.ms)]


def test_a_login_with_a_missing_key_waits_longer_each_time_up_to_a_minute(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Claims
) -> None:
    lives(ledger, "a", OLD)
    ledger.record(sealed(NEW, "new"))
    waits = []
    for _ in range(9):
        reply = claim(key_ids=OLD.key_ids)
        assert not reply.claims
        waits.append(redis_client.zscore(DUE, "lgn_new") - clock.ms)
        clock.ms += int(waits[-1])
    assert waits == [1000, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
    assert redis_client.hget("nightly:login:lgn_new", "s") == b"due"
    assert redis_client.zcard(f"nightly:leases:{INSTANCE}") == 0
    assert tally(ledger, "calls") == 0
    assert missing(ledger, clock) == [(NEW_ID, 184.0)]


def test_a_thousand_logins_with_a_missing_key_do_not_block_those_behind_them(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Claims
) -> None:
    lives(ledger, "a", OLD)
    ledger.record(sealed(NEW, *(f"a{number:04}" for number in range(2500))))
    clock.ms += 1
    ledger.record(sealed(OLD, "good"))
    looks = 0
    while looks < 5:
        looks += 1
        if taken(claim(key_ids=OLD.key_ids)) == ["good"]:
            break
    else:
        pytest.fail("it was never reached")
    assert redis_client.zcount(DUE, clock.ms + 1000, clock.ms + 1000) >= 900


def test_a_key_missing_for_a_minute_gives_notice_once_an_hour(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Claims
) -> None:
    ledger.record(sealed(NEW, "new", "newer"))

    def told(*, after: int) -> list[list[str]]:
        clock.ms += after
        redis_client.zadd(DUE, {"lgn_new": clock.ms})
        claim(key_ids=OLD.key_ids)
        notices = ledger.pulse({}, worker="a", slots=2, about={"keys": OLD.key_ids}).notices
        for notice in notices:
            ledger.forget_notice(notice)
        return [[notice.kind, *notice.parts] for notice in notices]

    began = clock.ms
    assert told(after=0) == []
    assert told(after=59_999) == []
    assert told(after=1) == [["key", NEW_ID, str(began)]]
    assert told(after=60_000) == []
    assert 0 < redis_client.pttl(f"nightly:missing-noticed:{NEW_ID}") <= 3_600_000
    redis_client.delete(f"nightly:missing-noticed:{NEW_ID}")  # as Redis' own clock does after an hour
    assert told(after=60_000) == [["key", NEW_ID, str(began)]]


def test_a_key_is_not_missing_once_a_worker_holds_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Claims
) -> None:
    ledger.record([*sealed(NEW, "new"), *sealed(OTHER, "other")])
    claim(key_ids=OLD.key_ids)
    assert sorted(missing(ledger, clock)) == sorted([(NEW_ID, 0.0), (OTHER_ID, 0.0)])
    lives(ledger, "b", NEW)
    assert missing(ledger, clock) == [(OTHER_ID, 0.0)]
    clock.ms += 1000
    assert taken(claim(key_ids=NEW.key_ids, **FAST)) == ["new"]
    clock.ms += 600_000
    lives(ledger, "b", NEW)
    assert missing(ledger, clock) == [(OTHER_ID, 601.0)]
    clock.ms += 1
    lives(ledger, "b", NEW)
    assert missing(ledger, clock) == [], "no login needs it any more"
    assert not redis_client.exists("nightly:missing-keys")


def test_a_worker_that_was_silent_for_ten_seconds_holds_no_key(ledger: Ledger, clock: Clock, claim: Claims) -> None:
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, "new"))
    clock.ms += 10_000
    assert not claim(key_ids=OLD.key_ids).claims
    assert missing(ledger, clock) == []
    clock.ms += 1
    claim(key_ids=OLD.key_ids)
    assert missing(ledger, clock) == [(NEW_ID, 0.0)]


def test_a_clock_set_back_does_not_lengthen_the_time_a_key_is_missing(
    ledger: Ledger, clock: Clock, claim: Claims
) -> None:
    ledger.record(sealed(NEW, "new"))
    claim(key_ids=OLD.key_ids)
    clock.ms -= 500_000
    ledger.record(sealed(NEW, "other"))
    claim(key_ids=OLD.key_ids)
    assert missing(ledger, clock) == [(NEW_ID, 0.0)]
