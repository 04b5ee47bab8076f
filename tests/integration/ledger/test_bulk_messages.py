"""Bulk jobs that replay rejected messages: the events are recorded as the letter is decided, each message once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from tests.integration.ledger.conftest import Clock
from tests.ledger_calls import close, list_letters
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.events.contract import Requirements
from worker.intake.accept import Intake, body_context
from worker.ledger import Ledger, Letters, Message
from worker.ledger.letter_filter import LetterFilter
from worker.operations import message_rows
from worker.operations.bulk import BulkJobs
from worker.operations.message_rows import MessageRows
from worker.vault.vault import Vault


def event(number: int, instance: str = "acme") -> dict[str, Any]:
    data = {"loginId": f"login-number-{number}", "instance": instance}
    about = {"specversion": "1.0", "id": f"evt-{number}", "source": "crm", "time": "2023-11-01T00:00:00Z"}
    return about | {"type": "account.linked", "data": data}


class Mill:
    """The parts of a worker that knows the instance acme, and rejected messages from before it did."""

    def __init__(self, client: Redis, vault: Vault, clock: Clock) -> None:
        self.client = client
        self.ledger, self.letters = Ledger(client, now_ms=clock), Letters(client, now_ms=clock)
        self.jobs, self.bulk = Jobs(client, now_ms=clock), BulkJobs(client, calls_per_second=10, now_ms=clock)
        self.backfills = Backfills(client, vault, now_ms=clock)
        self.vault = vault

    def intake(self, *instances: str) -> Intake:
        requirements = Requirements(max_ahead_seconds=60, instances=frozenset({"toolbox", *instances}))
        parts = self.ledger, self.letters, self.vault
        return Intake(*parts, requirements=requirements, default_instance="toolbox")

    def reject(self, *documents: object) -> list[str]:
        """Let intake reject messages; returns the ids of their letters in this order."""
        found: dict[str, None] = {}
        for document in documents:
            self.intake().accept_bodies([json.dumps(document).encode()])
            found |= dict.fromkeys(letter.id for letter in list_letters(self.letters) if letter.id not in found)
        return list(found)

    def rows(self, *, vault: Vault | None = None) -> MessageRows:
        parts = self.ledger, self.letters, vault or self.vault, self.intake("acme")
        return MessageRows(*parts, is_key_held=self.backfills.is_key_held)

    def feeder(self, rows: Callable[..., bool] | None) -> Feeder:
        return Feeder(self.backfills, self.vault, {}, jobs=self.jobs, judge=rows)

    def start(self, ids: list[str]) -> str:
        return self.bulk.run(self.bulk.prepare("replay", ids, by=ANN).id, by=ANN).id

    def outcomes(self, job_id: str) -> list[tuple[str, str]]:
        return [(one.outcome.value, one.code) for one in self.bulk.report(job_id)]

    def recorded(self) -> int:
        return int(self.client.hget("nightly:tally:acme", "recorded") or 0)


@pytest.fixture
def mill(redis_client: Redis, vault: Vault, clock: Clock) -> Mill:
    return Mill(redis_client, vault, clock)


def test_messages_that_are_valid_by_now_are_accepted_and_the_others_stay_open(mill: Mill) -> None:
    ids = mill.reject(event(1), {"loginId": 7}, event(2), event(3))
    found = mill.bulk.preflight(mill.bulk.prepare("replay", LetterFilter(), by=ANN).id)
    assert (found.accepted_again, found.calls, found.seconds, found.calls_per_second) == (4, 0, 0, None)
    job_id = mill.start(ids)
    close(mill.letters, ids[3], "resolved", by="carl")
    assert mill.ledger.pulse({}, worker="w", slots=2).should_feed
    assert mill.feeder(None).feed() == 0, "it judges no messages"
    assert mill.feeder(mill.rows()).feed() == 4
    accepted = ("accepted", "")
    assert mill.outcomes(job_id) == [accepted, ("invalid", "invalid_event"), accepted, ("closed", "")]
    assert [mill.letters.get(name).status for name in ids] == ["replayed", "open", "replayed", "resolved"]
    assert (mill.recorded(), mill.bulk.get(job_id).status) == (2, "finished")
    assert mill.client.zcard("nightly:due:acme:live") == 2


def test_a_batch_is_accepted_in_part_and_its_invalid_event_gets_a_letter_of_its_own(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_rows, "WISHES_AT_MOST", 2)
    batch = [event(1), event(2), event(3), event(4) | {"type": "other"}]
    body = json.dumps(batch).encode() + b" "
    sealed = mill.vault.seal(body_context("ev-1"), body)
    mill.letters.keep_rejected([Message("ev-1", "invalid_event", "reason", "stream", len(body), sealed)])
    job_id = mill.start(["ev-1"])
    mill.feeder(mill.rows()).feed()
    assert mill.outcomes(job_id) == [("accepted", "")]
    assert mill.recorded() == 3
    assert [letter.kind for letter in list_letters(mill.letters)] == ["message"]


def test_a_feeder_that_dies_after_judging_has_changed_nothing(mill: Mill) -> None:
    job_id = mill.start(mill.reject(event(1)))
    rows = mill.rows()

    def dies(letter_id: str, _: object) -> bool:
        def at_once(*_: object) -> list[Any]:
            raise KeyboardInterrupt

        return rows(letter_id, at_once)

    with pytest.raises(KeyboardInterrupt):
        mill.feeder(dies).feed()
    assert (mill.outcomes(job_id), mill.recorded()) == ([("waiting", "")], 0)
    with capture_logs():
        assert mill.jobs.feed_message(job_id, 0, 1, "accepted", "", []) == ("moved", []), "a slower feeder"
    mill.bulk.pause(job_id, by=ANN)
    assert mill.jobs.feed_message(job_id, 0, 0, "accepted", "", []) == ("paused", [])
    assert mill.feeder(rows).feed() == 0
    mill.bulk.resume(job_id, by=ANN)
    assert mill.feeder(rows).feed() == 1
    assert (mill.outcomes(job_id), mill.recorded()) == ([("accepted", "")], 1)


def test_a_message_under_a_key_that_another_worker_holds_is_left_to_it(mill: Mill) -> None:
    job_id = mill.start(mill.reject(event(1)))
    lacking = mill.rows(vault=Vault([bytes(32)]))
    mill.ledger.pulse({}, worker="b", slots=2, about={"keys": mill.vault.key_ids})
    feeder = mill.feeder(lacking)
    assert feeder.feed() == 0
    assert feeder.leaves_rows_to_others
    assert mill.outcomes(job_id) == [("waiting", "")]
    mill.ledger.remove_worker("b")
    assert mill.feeder(lacking).feed() == 1
    assert mill.outcomes(job_id) == [("failed", "unknown_key")]


@pytest.mark.parametrize(("body", "code"), [(b"", "not_kept"), (b"garbage", "unreadable")])
def test_a_message_whose_body_cannot_be_read_fails_and_the_job_goes_on(mill: Mill, body: bytes, code: str) -> None:
    first, second = mill.reject(event(1), event(2))
    mill.client.set(f"nightly:letter-body:{first}", body)
    job_id = mill.start([first, second])
    mill.feeder(mill.rows()).feed()
    assert mill.outcomes(job_id) == [("failed", code), ("accepted", "")]
    assert mill.letters.get(first).status == "open"


def test_a_job_that_has_lost_a_part_of_its_list_holds_up_no_other(mill: Mill) -> None:
    lost, other = mill.reject(event(1), event(2, "toolbox") | {"time": "2099-01-01T00:00:00Z"})
    mill.bulk.run(mill.bulk.prepare("resolve", [other], by=ANN, note="x").id, by=ANN)
    job_id = mill.start([lost])
    mill.client.delete(f"nightly:backfill:{job_id}:chunks")
    with capture_logs() as logs:
        assert mill.feeder(mill.rows()).feed() == 1
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["bulk_job_unreadable"]
    assert mill.letters.get(other).status == "resolved"
    mill.bulk.cancel(job_id, by=ANN)
    assert mill.bulk.get(job_id).ended_at, "a person can end it"
