"""Every key of ours expires, or is in the table of key_rules.py with what bounds it, and refers to no deleted key."""

import re
from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import (
    DOWN,
    FINGERPRINTS,
    INSTANCE,
    Clock,
    Start,
    claim_all,
    fall_into_outage,
    live,
    refuse,
    wishes,
)
from tests.integration.ledger.key_rules import STAYS, TODAY, strays, without_end
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_store import Jobs
from worker.backfill.models import Row
from worker.backfill.store import Backfills
from worker.events.channels import STREAM
from worker.intake.stream_group import GROUP, EntryGroup
from worker.ledger import Ledger, Letters, Message
from worker.ledger import dead_letters as letters_module
from worker.ledger.gate_control import GateKeeper
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages
from worker.operations.bulk import BulkJobs
from worker.operations.group_actions import GroupActions, GroupName
from worker.vault.vault import Vault

YEAR_MS = 366 * 86_400_000


@pytest.fixture
def busy(
    ledger: Ledger,
    clock: Clock,
    redis_client: Redis,
    vault: Vault,
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    claim: Any,
    settle: Any,
) -> None:
    """Do everything that creates a key."""
    ledger.open_ledger("reference-key")
    for worker in ("worker", "another"):
        ledger.pulse(FINGERPRINTS, worker=worker, slots=2)
        assert ledger.join_reconcilers(worker, "owner")
    letters, keeper = Letters(redis_client, now_ms=clock), GateKeeper(redis_client, now_ms=clock)
    _backfills_of_every_kind(backfills, feeder, start, clock)
    ledger.record([live(vault, f"event-{at}", clock.ms * 1000, on=True) for at in range(60)])
    for at, call in enumerate(claim_all(clock, claim, 40, lease_seconds=60)):
        attempt = f'{call.number} {call.revision} 1 7 {{"code":"{at}"}}' if at % 2 else '{"odd": 1}'
        settle(call, ("applied", "transient", "dead", "throttled")[at % 4], code=f"C{at % 8}", attempt=attempt)
    for letter, ending in zip(
        ledger_calls.list_letters(letters), ("replayed", "resolved", "resolved", "replayed"), strict=False
    ):
        ledger_calls.close(letters, letter.id, ending, by="ann")
    ledger.record([live(vault, f"event-{at}", clock.ms * 1000 + 1, on=False) for at in range(0, 60, 10)])
    for name, code in (("ev-1", "unknown_instance"), ("ev-2", "invalid_event"), ("ev-3", "invalid_event")):
        letters.keep_rejected([Message(name, code, "x", "stream", 1, b"x")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(letters_module, "MESSAGES_AT_MOST", 0)
        letters.keep_rejected([Message("ev-4", "invalid_event", "x", "stream", 1, b"x")])
    GroupActions(redis_client, now_ms=clock).assign(GroupName("", "invalid_event", ""), "ann", by=ANN)
    ledger_calls.close(letters, "ev-1", "resolved", by="ann")
    _bulk_jobs_of_every_kind(redis_client, clock)
    _trouble_of_every_kind(ledger, clock, claim, settle, keeper)
    _an_entry_of_the_stream(redis_client)
    claim_all(clock, claim, 3)
    ledger.pulse(FINGERPRINTS, worker="worker", slots=2)


def _an_entry_of_the_stream(client: Redis) -> None:
    group = EntryGroup(client, STREAM, "reader")
    group.join()
    entry_id = client.xadd(STREAM, {"event": "{}"})
    client.xreadgroup(GROUP, "reader", {STREAM: ">"})
    group.acknowledge([entry_id])
    client.delete(STREAM)


def _backfills_of_every_kind(backfills: Backfills, feeder: Feeder, start: Start, clock: Clock) -> None:
    finished, cancelled, _paused = (start([f"{name}-{at}" for at in range(9)]) for name in ("a", "b", "c"))
    feeder.feed()
    backfills.cancel(cancelled, by=ANN)
    backfills.pause(_paused, by=ANN)
    assert backfills.get(finished).fed
    abandoned = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000)
    backfills.put_chunk(abandoned.id, 0, [Row(2, "one")], "d")


def _bulk_jobs_of_every_kind(client: Redis, clock: Clock) -> None:
    bulk, jobs = BulkJobs(client, calls_per_second=5, now_ms=clock), Jobs(client, now_ms=clock)
    bulk.prepare("replay", LetterFilter(), by=ANN)
    ids = list(LetterPages(client, now_ms=clock).ids(LetterFilter(instance=INSTANCE)))
    for verb, letter_id in (("resolve", ids[0]), ("replay", ids[1])):  # the lane is full: the replay stays at work
        job = bulk.run(bulk.prepare(verb, [letter_id], by=ANN, note="x").id, by=ANN)
        jobs.feed(job.id, 0, 10, fingerprint="proven-one")
    bulk.pause(bulk.run(bulk.prepare("replay", ["ev-2"], by=ANN).id, by=ANN).id, by=ANN)


def _trouble_of_every_kind(ledger: Ledger, clock: Clock, claim: Any, settle: Any, keeper: GateKeeper) -> None:
    ledger.record(wishes(100))
    (first,) = claim_all(clock, claim, 1)
    settle(first, "transient", worker="another", **DOWN)
    (well,) = claim_all(clock, claim, 1)
    settle(well, "applied")
    for failing in claim_all(clock, claim, 12):
        settle(failing, "transient", worker="another", **DOWN)
    assert ledger.redis.exists(f"nightly:excluded:{INSTANCE}:another")
    refuse(claim_all(clock, claim, 25), settle)
    keeper.open(INSTANCE, by=ANN)
    ledger.redis.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    clock.ms += 60_000
    fall_into_outage(clock, claim, settle)
    keeper.close(INSTANCE, by=ANN, reason="x")
    keeper.open(INSTANCE, by=ANN)
    ledger.redis.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    clock.ms += 60_000


@pytest.mark.usefixtures("busy")
def test_every_key_that_never_expires_has_a_rule_and_every_rule_is_used(redis_client: Redis) -> None:
    met = {key: [rule for rule in STAYS if re.fullmatch(f"nightly:({rule})", key)] for key in without_end(redis_client)}
    assert {key: rules for key, rules in met.items() if len(rules) != 1} == {}
    assert set(STAYS) - {rule for rules in met.values() for rule in rules} == set()


@pytest.mark.usefixtures("busy")
def test_after_a_year_nothing_finished_is_left(
    redis_client: Redis, ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    """Keys expire by Redis' own clock, so the test deletes those that would have expired."""
    for key in list(redis_client.scan_iter()):
        if 0 <= redis_client.pttl(key) <= YEAR_MS:
            redis_client.delete(key)
    clock.ms += YEAR_MS
    for _ in range(100):
        found = ledger.pulse(TODAY, worker="today", slots=2)
        for notice in found.notices:
            ledger.forget_notice(notice)
        for call in claim(fingerprint=TODAY[INSTANCE], calls_per_second=1000).claims:
            settle(call, "applied", fingerprint=TODAY[INSTANCE], attempt="[1]" if call.has_history else "")
        clock.ms += 1000
    assert strays(redis_client, clock.ms) == []
