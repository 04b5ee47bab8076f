"""A Celery message becomes a wish, or is kept for review."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.unit.intake.harness import FAR, KWARGS, LOGIN, TIME, Harness
from worker.events.contract import Requirements
from worker.ledger import Lane
from worker.operations.rejected_messages import FieldReason
from worker.vault.vault import Vault


def test_an_event_becomes_a_wish_under_the_reference_of_its_login(harness: Harness) -> None:
    assert harness.celery(**KWARGS, account_id="cust-42", instance="acme-us")

    wish = harness.wish
    assert wish.reference == harness.vault.reference("acme-us", LOGIN)
    assert harness.vault.open_login(wish.reference, wish.sealed) == LOGIN
    assert (wish.instance, wish.wants_active, wish.lane) == ("acme-us", True, Lane.LIVE)
    assert (wish.event_id, wish.account_id) == ("evt-1", "cust-42")
    assert wish.occurred_us == 1_795_341_600_000_000
    assert not harness.letters.kept


@pytest.mark.parametrize("kwargs", [{}, {"event_id": None}])
def test_the_event_id_defaults_to_the_task_id(harness: Harness, kwargs: dict[str, Any]) -> None:
    assert harness.celery(login_id=LOGIN, occurred_at=TIME, **kwargs)
    assert (harness.wish.event_id, harness.wish.account_id) == ("task-1", None)


@pytest.mark.parametrize("event_id", ["", 0, False])
def test_a_wrong_event_id_is_refused_rather_than_replaced(harness: Harness, event_id: object) -> None:
    assert not harness.celery(**(KWARGS | {"event_id": event_id}))
    assert harness.reasons[0][1].startswith("event_id: ")


@pytest.mark.parametrize(
    ("args", "kwargs", "code", "reason"),
    [
        ((), {"occurred_at": TIME}, "invalid_event", "event: needs login_id or sealed_login_id, one of the two"),
        ((LOGIN,), KWARGS, "invalid_event", "args: must be empty; send keyword arguments"),
        ((), KWARGS | {LOGIN: LOGIN}, "invalid_event", "(another field): is not a field of this event"),
        ((), KWARGS | {"instance": LOGIN}, "unknown_instance", "instance: is not one of the configured instances"),
        ((), KWARGS | {"login_id": UUID(LOGIN)}, "invalid_event", "login_id: must be a text"),
        (
            (),
            KWARGS | {"login_id": f"{LOGIN}\ud800"},
            "invalid_event",
            "login_id: holds a character that is not printable",
        ),
        ((), KWARGS | {"occurred_at": FAR}, "invalid_event", "occurred_at: lies more than 3600 s in the future"),
    ],
)
def test_a_rejected_celery_message_is_kept_for_review(
    harness: Harness, args: tuple[object, ...], kwargs: Mapping[str, object], code: str, reason: str
) -> None:
    assert not harness.celery(*args, **kwargs)

    assert harness.reasons == [(code, reason)]
    assert not harness.ledger.wishes
    kept = json.loads(harness.bodies()[0])
    assert (kept["type"], kept["args"]) == ("account.linked", list(args))
    assert LOGIN not in harness.readable()


def test_a_datetime_from_kombu_is_accepted_and_kept_readable_when_refused(harness: Harness) -> None:
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert harness.celery(**(KWARGS | {"occurred_at": moment}))
    assert not harness.celery(**(KWARGS | {"occurred_at": moment}), colour="red")
    assert json.loads(harness.bodies()[0])["kwargs"]["occurred_at"] == "2026-11-22 10:00:00+00:00"


def test_a_message_nested_too_deeply_to_be_encoded_is_still_kept(harness: Harness) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert not harness.celery(**(KWARGS | {"account_id": deep}))
    assert not harness.replay()
    assert harness.reasons == [("invalid_event", "account_id: must be a text")]
    assert harness.why == [FieldReason("type", "must be account.linked or account.inactive")]


def test_a_rejected_celery_message_keeps_its_task_id_unless_that_is_its_login(harness: Harness) -> None:
    assert not harness.celery("another-login", task_id="task-1")
    assert not harness.celery(LOGIN, task_id=f"link-{LOGIN}")
    first, second = (message.event_id for message in harness.letters.kept)
    assert (first, second[:7]) == ("task-1", "masked-")


@pytest.mark.parametrize("instances", [frozenset({"toolbox"}), frozenset({"toolbox", "eu"})])
def test_a_rejected_celery_message_is_replayed_unchanged(vault: Vault, instances: frozenset[str]) -> None:
    harness = Harness(vault)
    assert not harness.celery(login_id=LOGIN, occurred_at=TIME, instance="eu", task_id="task-9")
    harness.intake._requirements = Requirements(max_ahead_seconds=3600, instances=instances)

    assert harness.replay() is ("eu" in instances)
    assert [wish.event_id for wish in harness.ledger.wishes] == ["task-9"] * ("eu" in instances)
    assert len({message.id for message in harness.letters.kept}) == 1, (
        "a message that is still invalid keeps its dead letter"
    )
