"""A ledger with a clock that the test sets, and fixtures to record, claim and settle with default terms."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.people import ANN
from worker.backfill import feeder as feeder_module
from worker.backfill.feeder import Feeder
from worker.backfill.job_store import Jobs
from worker.backfill.models import Row, RowOutcome
from worker.backfill.store import Backfills
from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.ledger import Claim, ClaimReply, Ledger, Letters, Pulse, Settled, Wish
from worker.ledger.queries import Views
from worker.operations.bulk import BulkJobs
from worker.vault.vault import Vault

INSTANCE = "toolbox"
FINGERPRINTS = {INSTANCE: "proven-one", "acme": "untried"}
DOWN: dict[str, Any] = {"code": "http_503", "flags": "d", "delay_seconds": 0.0}
MINUTE_MS = 60_000
TERMS: dict[str, Any] = {
    "at_most": 10,
    "owner": "owner",
    "worker": "worker",
    "lease_seconds": 15,
    "settle_seconds": 0,
    "calls_per_second": 50,
    "max_in_flight": 64,
    "fingerprint": "proven-one",
}
"""With which tests claim, unless they say otherwise."""
Start = Callable[..., str]
"""Loads and commits a backfill of these logins; returns its id. An empty login is an invalid row."""


class Clock:
    """Redis' clock, set by the test."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(redis_client: Redis, clock: Clock) -> Ledger:
    redis_client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    return Ledger(redis_client, now_ms=clock)


def claim_from(ledger: Ledger, **changes: Any) -> ClaimReply:
    return ledger_calls.claim(ledger, INSTANCE, **TERMS | changes)


@pytest.fixture
def claim(ledger: Ledger) -> Callable[..., ClaimReply]:
    return partial(claim_from, ledger)


@pytest.fixture
def settle(ledger: Ledger) -> Callable[..., Settled]:
    def settle(
        claim: Claim,
        outcome: str,
        *,
        owner: str = "owner",
        fingerprint: str = "proven-one",
        worker: str = "worker",
        calls_per_second: float = 50,
        rules: GateRules = DEFAULT_RULES,
        **fields: Any,
    ) -> Settled:
        terms: dict[str, Any] = {"owner": owner, "fingerprint": fingerprint, "worker": worker, "rules": rules}
        settlement = ledger_calls.ended(claim, outcome, **fields)
        (result,) = ledger_calls.settle(ledger, INSTANCE, [settlement], calls_per_second=calls_per_second, **terms)
        return result

    return settle


def take_back(ledger: Ledger) -> Pulse:
    """Take back leases that have ended, as another worker's heartbeat does."""
    return ledger.pulse({}, worker="another", slots=1)


def gate(ledger: Ledger) -> dict[str, Any]:
    return Views(ledger.redis, now_ms=ledger._now_ms).gate(INSTANCE)


def wishes(count: int, *, minute: int = 0, on: bool = True) -> list[Wish]:
    occurred_us = 1_600_000_000_000_000 + minute * 60_000_000
    return [Wish(f"lgn_{number}", INSTANCE, b"sealed", occurred_us, on, f"e{minute}") for number in range(count)]


def tally(ledger: Ledger, name: str) -> int:
    return int(ledger.redis.hget(f"nightly:tally:{INSTANCE}", name) or 0)


def causes(ledger: Ledger) -> list[tuple[str, str]]:
    """Return every change of the gate: its state and cause."""
    return [(change["state"], change["cause"]) for change in Views(ledger.redis).gate_changes(INSTANCE)]


def settle_together(
    ledger: Ledger, *items: tuple[Claim, str, dict[str, Any]], rules: GateRules = DEFAULT_RULES
) -> list[Settled]:
    """Settle several calls in one batch, as a busy reconciler does."""
    settlements = [ledger_calls.ended(claim, outcome, **fields) for claim, outcome, fields in items]
    terms: dict[str, Any] = {"owner": "owner", "fingerprint": "proven-one", "worker": "worker", "rules": rules}
    return ledger_calls.settle(ledger, INSTANCE, settlements, calls_per_second=50, **terms)


def claim_all(clock: Clock, claim: Any, count: int, **terms: Any) -> list[Claim]:
    """Claim this many logins one after the other, at a thousand calls a second."""
    taken: list[Claim] = []
    for _ in range(20 * count):
        if len(taken) >= count:
            break
        clock.ms += 2
        taken += claim(at_most=1, calls_per_second=1000, max_in_flight=1000, **terms).claims
    return taken


def fall_into_outage(clock: Clock, claim: Any, settle: Any) -> None:
    for failing in claim_all(clock, claim, 20):
        settle(failing, "transient", **DOWN)


def refuse(claims: list[Claim], settle: Any, **fields: Any) -> list[Settled]:
    return [settle(one, "dead", code="INVALID_LOGIN", http_status=400, **fields) for one in claims]


@pytest.fixture
def backfills(redis_client: Redis, clock: Clock, vault: Vault) -> Backfills:
    return Backfills(redis_client, vault, now_ms=clock)


@pytest.fixture
def feeder(backfills: Backfills, vault: Vault, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Feeder:
    monkeypatch.setattr(feeder_module, "FEED_SECONDS", 60.0)  # a slow machine feeds a thousand rows in ten seconds
    return Feeder(backfills, vault, FINGERPRINTS, jobs=jobs)


@pytest.fixture
def jobs(redis_client: Redis, clock: Clock) -> Jobs:
    return Jobs(redis_client, now_ms=clock)


@pytest.fixture
def bulk(redis_client: Redis, clock: Clock) -> BulkJobs:
    redis_client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    return BulkJobs(redis_client, calls_per_second=10, now_ms=clock)


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


@pytest.fixture
def start(backfills: Backfills, clock: Clock) -> Start:
    def start(logins: Sequence[str], **terms: Any) -> str:
        given = {"instance": INSTANCE, "wish": "on", "as_of_us": clock.ms * 1000} | terms
        backfill = backfills.create(**given)
        rows = [Row(line, login, problem="" if login else "is empty") for line, login in enumerate(logins, 2)]
        for at in range(0, len(rows), 500):
            backfills.put_chunk(backfill.id, at // 500, rows[at : at + 500], f"d{at}")
        return backfills.commit(backfill.id, backfill.id, by=ANN).id

    return start


def outcomes(backfills: Backfills, backfill_id: str) -> list[RowOutcome]:
    return [one.outcome for one in backfills.results(backfill_id, 0, 10_000)]


def live(vault: Vault, login: str, occurred_us: int, *, on: bool) -> Wish:
    return Wish(vault.reference(INSTANCE, login), INSTANCE, b"sealed", occurred_us, on, "live")
