"""Each change of a gate or a backfill by a person is one entry in the audit log; a refused one leaves no trace."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, Start, fall_into_outage, gate, wishes
from tests.integration.ledger.many_letters import file_letters
from tests.ledger_calls import close
from tests.people import ANN, BOB
from worker.backfill.models import Row
from worker.backfill.store import Backfills
from worker.errors import BackfillError, LedgerMismatch, OutOfDate
from worker.ledger import Ledger, Letters
from worker.ledger.audit import HEAD, AuditLog, Deed
from worker.ledger.gate_control import GateKeeper
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.queries import Views
from worker.ledger.scripts import PARTS, Scripts
from worker.operations.group_actions import GroupActions, GroupName


@pytest.fixture
def keeper(redis_client: Redis, clock: Clock) -> GateKeeper:
    return GateKeeper(redis_client, now_ms=clock)


@pytest.fixture
def entries(redis_client: Redis) -> Callable[[], list[tuple[str, str, str, str]]]:
    def read() -> list[tuple[str, str, str, str]]:
        log = AuditLog(redis_client)
        assert log.verify().broken_at is None
        return [(each.by, each.action, each.target, each.why) for each in reversed(log.entries())]

    return read


def test_closing_and_opening_a_gate_are_entries(keeper: GateKeeper, entries: Any, redis_client: Redis) -> None:
    keeper.close(INSTANCE, by=ANN, reason="Flinks maintenance")
    keeper.open(INSTANCE, by=BOB)
    assert entries() == [
        ("ann", "gate.close", INSTANCE, "Flinks maintenance"),
        ("bob", "gate.open", INSTANCE, ""),
    ]
    assert len(AuditLog(redis_client).entries(target=INSTANCE)) == 2


def test_no_login_id_is_stored_as_a_reason(keeper: GateKeeper, redis_client: Redis) -> None:
    keeper.close(INSTANCE, by=ANN, reason="because of 0f8fad5b-d9cb-469f-a165-70867728950e")
    assert Views(redis_client).gate(INSTANCE)["detail"] == "because of [masked]"


def test_a_gate_that_changed_since_a_person_looked_stays_as_it_is(
    ledger: Ledger, clock: Clock, keeper: GateKeeper, entries: Any
) -> None:
    keeper.close(INSTANCE, by=ANN, reason="", version=0)
    seen = gate(ledger)["changed_at"]
    clock.ms += 1
    keeper.close(INSTANCE, by=BOB, reason="a worse thing", version=seen)
    with pytest.raises(OutOfDate, match="Nothing was done"):
        keeper.open(INSTANCE, by=ANN, version=seen)
    assert (gate(ledger)["state"], len(entries())) == ("closed", 2)
    keeper.open(INSTANCE, by=ANN, version=gate(ledger)["changed_at"])
    assert gate(ledger)["state"] == "open"


def test_an_outage_that_a_person_saw_can_be_ended(
    ledger: Ledger, clock: Clock, keeper: GateKeeper, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    fall_into_outage(clock, claim, settle)
    seen = gate(ledger)
    assert seen["cause"] == "outage"
    with pytest.raises(OutOfDate):
        keeper.open(INSTANCE, by=ANN, version=0)
    keeper.open(INSTANCE, by=ANN, version=seen["changed_at"])
    assert gate(ledger)["state"] == "open"


def test_each_step_of_a_backfill_is_an_entry(backfills: Backfills, start: Start, entries: Any) -> None:
    backfill_id = start(["one"])
    backfills.commit(backfill_id, "again", by=ANN)
    backfills.pause(backfill_id, by=ANN)
    with pytest.raises(BackfillError):
        backfills.pause(backfill_id, by=BOB)
    backfills.resume(backfill_id, by=ANN)
    backfills.cancel(backfill_id, by=BOB)
    assert entries() == [
        ("ann", "backfill.start", backfill_id, ""),
        ("ann", "backfill.pause", backfill_id, ""),
        ("ann", "backfill.resume", backfill_id, ""),
        ("bob", "backfill.cancel", backfill_id, ""),
    ]


def test_the_start_of_a_backfill_says_what_it_wishes(backfills: Backfills, redis_client: Redis, clock: Clock) -> None:
    loaded = backfills.create(instance=INSTANCE, wish="off", as_of_us=clock.ms * 1000, name="gone.csv")
    backfills.put_chunk(loaded.id, 0, [Row(2, "login-1")], "d")
    backfills.commit(loaded.id, "d", by=ANN)
    (entry,) = AuditLog(redis_client).entries()
    assert entry.detail == {"instance": INSTANCE, "wish": "off", "rows": 1, "name": "gone.csv"}


def test_nothing_changes_in_a_ledger_of_newer_code(redis_client: Redis, keeper: GateKeeper) -> None:
    redis_client.hset("nightly:meta", "schema", 999)
    with pytest.raises(LedgerMismatch):
        AuditLog(redis_client).append(Deed(ANN, "session.begin", "ann"))
    with pytest.raises(LedgerMismatch):
        keeper.close(INSTANCE, by=ANN, reason="")
    assert not redis_client.exists(HEAD, f"nightly:gate:{INSTANCE}")


@pytest.fixture
def lost_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each script of a person twice, and return the second reply: what a client does that lost the first one."""
    run = Scripts.run

    def twice(self: Scripts, name: str, *args: Any) -> Any:
        if "audit" in PARTS[name]:
            run(self, name, *args)
        return run(self, name, *args)

    monkeypatch.setattr(Scripts, "run", twice)


@pytest.mark.usefixtures("lost_replies")
def test_an_action_whose_reply_was_lost_is_done_once_and_succeeds(
    redis_client: Redis, clock: Clock, keeper: GateKeeper, backfills: Backfills, start: Start, entries: Any
) -> None:
    letters = Letters(redis_client, now_ms=clock)
    file_letters(redis_client, [{"id": f"dl-{number}", "created_at": clock.ms} for number in range(2)])
    keeper.close(INSTANCE, by=ANN, reason="", version=0)
    GroupActions(redis_client, now_ms=clock).assign(
        GroupName(INSTANCE, "INVALID_LOGIN", "on"), "bob", by=ANN, version=0
    )
    LetterChanges(redis_client, now_ms=clock).change(Act("dl-0", ANN, "note"), "note", "they called us")
    assert close(letters, "dl-0", "replayed", by="ann") == "replayed"
    assert close(letters, "dl-1", "resolved", by="ann") == "resolved"
    backfill_id = start(["one"])
    backfills.pause(backfill_id, by=ANN)
    backfills.cancel(backfill_id, by=ANN)
    assert [action for _, action, _, _ in entries()] == [
        "gate.close", "group.assign", "letter.note", "letter.replay", "letter.resolve",
        "backfill.start", "backfill.pause", "backfill.cancel",
    ]  # fmt: skip
