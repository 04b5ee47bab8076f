"""A batch whose readers died is split, so that only its poison event is set aside."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.intake.conftest import (
    Reader,
    add,
    die,
    die_with_a_suspect_in_hand,
    die_with_all_in_hand,
    empty,
    event,
    recorded,
)
from tests.ledger_calls import list_letters
from worker.events.channels import STREAM
from worker.intake.accept import Intake
from worker.intake.poison import DEATHS, Deliveries
from worker.ledger import Letters
from worker.ledger.audit import Actor
from worker.operations.letter_actions import LetterActions
from worker.vault.vault import Vault


@pytest.mark.parametrize("deaths", [1, DEATHS, 2 * DEATHS - 1])
def test_a_batch_whose_readers_died_is_split_and_loses_no_event(
    redis_client: Redis, reader: Reader, deaths: int
) -> None:
    add(redis_client, [event(number) for number in range(3000)])
    die_with_all_in_hand(reader("dead-0"))
    for death in range(1, deaths):
        die_with_a_suspect_in_hand(reader(f"dead-{death}"))
    empty(reader("alive"))
    assert recorded(redis_client) == 3000
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.keys("nightly:in-hand:*") == []
    assert not list_letters(Letters(redis_client))


def test_of_a_split_batch_only_the_poison_event_is_set_aside(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """A SIGKILL, seen from the test."""

    take_in = Intake.accept_bodies

    def accept(intake: Intake, bodies: Any) -> bool:
        if any(b"evt-7" in body for body in bodies):
            raise Death
        return take_in(intake, bodies)

    monkeypatch.setattr(Intake, "accept_bodies", accept)
    add(redis_client, [event(number) for number in range(20)])
    for name in range(20):
        mortal = reader(f"reader-{name}")
        try:
            empty(mortal)
        except Death:
            die(mortal)
        if not redis_client.xlen(STREAM):
            break
    assert recorded(redis_client) == 19
    (letter,) = list_letters(Letters(redis_client))
    assert letter.reason == Deliveries.REASON


def test_a_batch_that_kills_readers_even_when_split_is_set_aside_whole_and_can_be_replayed(
    redis_client: Redis, reader: Reader, intake: Intake, vault: Vault
) -> None:
    document = [event(number, subject="x" * 200) for number in range(2000)]
    add(redis_client, document)
    die_with_all_in_hand(reader("dead-0"))
    for death in range(1, 2 * DEATHS):
        die_with_a_suspect_in_hand(reader(f"dead-{death}"))
    empty(reader("alive"))
    assert redis_client.xlen(STREAM) == 0
    letters = Letters(redis_client)
    (letter,) = list_letters(letters)
    assert (letter.reason, letter.body_bytes) == (Deliveries.REASON, len(json.dumps(document)))
    actions = LetterActions(redis_client, vault=vault, intake=intake)
    assert actions.replay(letter.id, by=Actor("ann", "operator", "cli")).outcome == "replayed"
    assert recorded(redis_client) == 2000


def test_a_batch_that_is_not_json_is_kept_whole(redis_client: Redis, reader: Reader) -> None:
    redis_client.xadd(STREAM, {"event": b"[{" + b"x" * 500_000})
    die_with_all_in_hand(reader("dead"))
    empty(reader("alive"))
    (letter,) = list_letters(Letters(redis_client))
    assert (letter.reason, letter.body_bytes) == ("body: is not JSON", 500_002)
