"""A worker whose calls alone fail is excluded: its network is at fault, and that is no outage."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import (
    DOWN,
    INSTANCE,
    Clock,
    causes,
    claim_all,
    settle_together,
    wishes,
)
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger
from worker.ledger.queries import Views

FP = "proven-one"
EXCLUDED = f"nightly:excluded:{INSTANCE}:cut off"
NOTICED = f"{EXCLUDED}:noticed"
GOOD, ILL = (f"nightly:{name}:{INSTANCE}:worker" for name in ("good", "ill"))


def ten_fail(clock: Clock, claim: Any, settle: Any, worker: str = "cut off") -> None:
    for failing in claim_all(clock, claim, 10, worker=worker):
        settle(failing, "transient", worker=worker, **DOWN)


def test_a_worker_whose_calls_alone_fail_is_excluded_and_the_others_go_on(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for worker in ("well", "cut off"):
        ledger.pulse({}, worker=worker, slots=2)
    volley = claim_all(clock, claim, 11, worker="cut off")
    settle(volley[0], "transient", worker="cut off", **DOWN)
    clock.ms += 10
    settle(claim_all(clock, claim, 1)[0], "applied", worker="well")
    for failing in volley[1:]:
        settle(failing, "transient", worker="cut off", **DOWN)
    assert causes(ledger) == []
    clock.ms += 1_000
    assert claim(worker="cut off").state == "closed"
    assert claim(worker="well").state == "claimed"
    due = [ledger.pulse({INSTANCE: FP}, worker=worker).due for worker in ("cut off", "well")]
    assert due[0] == 0 < due[1], "an excluded worker asks for no reconciler"
    (notice,) = ledger.pulse({}, worker="well", slots=2).notices
    assert (notice.kind, notice.parts) == ("excluded", [INSTANCE, "cut off", "10 calls in a row failed"])
    assert 50_000 < redis_client.pttl(EXCLUDED) <= 60_000
    assert 3_550_000 < redis_client.pttl(NOTICED) <= 3_600_000, "a notice once an hour"
    assert 50 < claim(worker="cut off").wait_seconds <= 60
    redis_client.pexpire(EXCLUDED, 3_600_000)  # as after Redis' clock was set back
    assert claim(worker="cut off").state == "busy"
    redis_client.pexpire(EXCLUDED, 60_000)
    excluded = {about["name"]: about["excluded"] for about in Views(redis_client, now_ms=clock).status()["workers"]}
    assert excluded == {"well": [], "cut off": [INSTANCE]}


def test_failures_of_one_worker_are_an_outage_if_no_other_has_a_good_sign(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for worker in ("a", "b"):
        ledger.pulse({}, worker=worker, slots=2)
    settle(claim_all(clock, claim, 1)[0], "applied", worker="b")
    for failing in claim_all(clock, claim, 10, worker="a"):
        settle(failing, "transient", worker="a", **DOWN)
    assert causes(ledger) == [("closed", "outage")], "the good sign of b is older than the failures"


@pytest.mark.parametrize(("later_ms", "excluded"), [(0, []), (1, ["cut off"])])
def test_only_a_good_sign_after_the_first_failure_excludes_the_failing_worker(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, later_ms: int, excluded: list[str]
) -> None:
    ledger.record(wishes(20))
    ledger.pulse({}, worker="well", slots=2)
    first, other, *rest = claim_all(clock, claim, 11, worker="cut off")
    settle(first, "transient", worker="cut off", **DOWN)
    clock.ms += later_ms
    settle(other, "applied", worker="well")
    for failing in [*rest, *claim_all(clock, claim, 1, worker="cut off")]:
        settle(failing, "transient", worker="cut off", **DOWN)
    assert redis_client.exists(EXCLUDED) == len(excluded)
    assert causes(ledger) == ([] if excluded else [("closed", "outage")])


def test_within_an_hour_any_good_sign_of_another_worker_excludes_again_without_a_notice(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    ledger.pulse({}, worker="well", slots=2)
    redis_client.set(NOTICED, "1")
    settle(claim_all(clock, claim, 1)[0], "applied", worker="well")
    ten_fail(clock, claim, settle)
    assert redis_client.exists(EXCLUDED)
    assert causes(ledger) == []
    assert ledger.pulse({}, worker="well", slots=2).notices == ()


def test_a_workers_own_good_signs_do_not_exclude_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    ledger.pulse({}, worker="cut off", slots=2)
    redis_client.set(NOTICED, "1")
    settle(claim_all(clock, claim, 1)[0], "applied", worker="cut off")
    ten_fail(clock, claim, settle)
    assert causes(ledger) == [("closed", "outage")]


def test_a_worker_with_a_good_sign_in_the_same_batch_is_not_excluded(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    ledger.pulse({}, worker="another", slots=2)
    first, well, *failing = claim_all(clock, claim, 12)
    settle(first, "transient", **DOWN)
    clock.ms += 10
    redis_client.set(f"nightly:good:{INSTANCE}:another", clock.ms)
    settle_together(ledger, (well, "applied", {}), *((one, "transient", DOWN) for one in failing))
    assert causes(ledger) == [("closed", "outage")], "Flinks answered it a moment ago"


def test_signs_of_a_worker_last_for_the_window_and_a_good_one_ends_the_bad_ones(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    first, second, well = claim_all(clock, claim, 3)
    first_at = clock.ms
    rules = GateRules(outage_window_seconds=600)
    settle(first, "transient", rules=rules, **DOWN)
    clock.ms += 1000
    settle(second, "transient", rules=rules, **DOWN)
    assert redis_client.get(ILL) == str(first_at).encode()
    assert 500_000 < redis_client.pttl(ILL) <= 600_000
    settle(well, "applied", rules=rules)
    assert redis_client.get(GOOD) == str(clock.ms).encode()
    assert 500_000 < redis_client.pttl(GOOD) <= 600_000
    assert not redis_client.exists(ILL)


def test_a_worker_is_excluded_from_one_instance_only(ledger: Ledger, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(2))
    redis_client.set("nightly:excluded:another:worker", "1")
    assert ledger.pulse({INSTANCE: FP}, worker="worker").due == 2
    assert claim().claims
