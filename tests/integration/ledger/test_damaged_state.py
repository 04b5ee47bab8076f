"""What somebody damaged in a hash that all logins share, or in a letter, stops no script of a worker."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import (
    DOWN,
    FINGERPRINTS,
    Clock,
    Start,
    claim_from,
    settle_together,
    take_back,
    wishes,
)
from tests.people import ANN
from worker.backfill.job_models import JobTerms, Verb
from worker.backfill.job_store import Jobs
from worker.ledger import Claim, Ledger

FAST: Mapping[str, Any] = {"at_most": 30, "calls_per_second": 1_000_000, "max_in_flight": 5000}
INVALID_LOGIN: tuple[str, dict[str, Any]] = ("dead", {"code": "INVALID_LOGIN"})
HOUR_MS = 3_600_000


@pytest.fixture(params=[5, 12], ids=["open gate", "outage"])
def calls(
    request: pytest.FixtureRequest, ledger: Ledger, settle: Callable[..., Any], start: Start, jobs: Jobs
) -> list[Claim]:
    """Return calls in flight, in a ledger with failures, a dead letter, a throttled instance and two backfills."""
    beat(ledger)
    ledger.record(wishes(30))
    calls = list(claim_from(ledger, **FAST).claims)
    for call in calls[: request.param]:
        settle(call, "transient", **DOWN)
    settle_together(ledger, (calls[12], *INVALID_LOGIN), (calls[13], "throttled", {"code": "http_429"}))
    start(["login-1"])
    job = jobs.prepare(JobTerms(Verb.REPLAY, "ann", "all", note=""), lambda: ["dl-1"], must_exist=True)
    assert jobs.run(job, by=ANN, detail={}) == "done"
    return calls[14:]


def beat(ledger: Ledger) -> None:
    ledger.pulse(FINGERPRINTS, worker="w", slots=2)


def test_whatever_field_is_damaged_each_script_of_a_worker_ends(
    ledger: Ledger, redis_client: Redis, clock: Clock, calls: list[Claim]
) -> None:
    began_at, stored = clock.ms, {key: redis_client.dump(key) for key in redis_client.keys("*")}
    hashes = [key for key in stored if redis_client.type(key) == b"hash" and not key.startswith(b"nightly:login:")]
    fields = [(key, field) for key in sorted(hashes) for field in [*redis_client.hkeys(key), b"foreign"]]
    assert {b"backfill", b"configs", b"letter", b"rate", b"tally"} <= {key.split(b":")[1] for key in hashes}
    for key, field in fields:
        for value in ("x", None):
            clock.ms = began_at
            with redis_client.pipeline() as pipeline:
                pipeline.flushdb()
                for name, content in stored.items():
                    pipeline.restore(name, 0, content)
                pipeline.hdel(key, field) if value is None else pipeline.hset(key, field, value)
                pipeline.execute()
            try:
                _run_each_script(ledger, clock, calls)
            except Exception as error:
                error.add_note(f"{key!r} {field!r} is {value}")
                raise


def _run_each_script(ledger: Ledger, clock: Clock, calls: list[Claim]) -> None:
    beat(ledger)
    ledger.record(wishes(30, minute=1))
    claim_from(ledger, **FAST)
    settle_together(ledger, (calls[0], "applied", {}), (calls[1], *INVALID_LOGIN))
    settle_together(ledger, *((call, "transient", DOWN) for call in calls[2:]))
    clock.ms += HOUR_MS
    take_back(ledger)
    beat(ledger)
    ledger.record(wishes(30, minute=2))
    claim_from(ledger, **FAST)
