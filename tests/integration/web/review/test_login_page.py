"""`/logins/REFERENCE` beside `/letters/ID`: what both show to whom, and values that others filled."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letter
from tests.integration.web.review.hostile import HOSTILE, check_is_harmless
from tests.integration.web.review.letters import (
    LOGIN_ID,
    Opened,
    an_event,
    file_login,
    file_message,
    newest_letter,
)
from tests.people import ANN as PERSON
from tests.review_page import review_parts, signed_in
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.history import attempt_text
from worker.vault.vault import Vault


@pytest.fixture
def opened(redis_client: Redis, vault: Vault) -> Opened:
    return Opened(redis_client, vault)


def test_the_page_of_a_login_shows_its_wish_its_letters_and_what_happened(opened: Opened) -> None:
    text = opened.page.get(f"/logins/{opened.reference}").text
    assert "dead lettered" in text
    assert f'href="/letters/{opened.letter_id}"' in text
    assert "evt-1" in text
    assert LOGIN_ID not in text


def test_after_a_replay_the_letter_and_its_login_say_why_the_wish_waits(opened: Opened) -> None:
    opened.act("replay")
    for path in (f"/logins/{opened.reference}", f"/letters/{opened.letter_id}"):
        text = opened.page.get(path).text
        assert "no worker is alive" in text, path
        assert 'data-every="3"' in text, path


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_of_a_letter_becomes_markup(redis_client: Redis, vault: Vault, value: str) -> None:
    reference = f"lgn_{'a' * 26}"
    fields = {"account_id": value, "event_id": value, "message": value, "owner": value, "closed_by": value}
    file_letter(redis_client, "dl-1", 1_900_000_000_000, login=reference, note=value, **fields)
    closed = {"id": "dl-2", "status": "resolved", "closed_at": 1}
    redis_client.hset("nightly:letter:dl-2", mapping=_fields(redis_client) | closed)
    history = attempt_text(at=1, code=value, message=value, worker=value, outcome="dead", flinks_code=value)
    lines = [["event", 1, value, 1, 1, value, "superseded"], ["action", 1, value, value, value, 1, value]]
    redis_client.set(f"nightly:history:{reference}", "\n".join([history, *map(json.dumps, lines)]))
    AuditLog(redis_client).append(Deed(Actor(value, value, value, value), value, "iv-1", value, {value: value}))
    redis_client.hset(f"nightly:login:{reference}", mapping={"a": value, "e": value})
    file_message(redis_client, vault, an_event(id=value, subject=value, extra=value), reason=value, event_id=value)
    page = signed_in(redis_client, "admin", vault=vault)
    for path in ("/letters/dl-1", "/letters/dl-2", "/letters/iv-1", f"/logins/{reference}"):
        response = page.get(path)
        assert response.status_code == 200, path
        check_is_harmless(response)


def _fields(client: Redis) -> dict[Any, Any]:
    return {name.decode(): value for name, value in client.hgetall("nightly:letter:dl-1").items()}


def test_only_operators_see_from_which_address_a_colleague_acted(redis_client: Redis, vault: Vault) -> None:
    reference = file_login(redis_client, vault)
    letter_id = newest_letter(redis_client)
    review_parts(redis_client).letter_actions.note(letter_id, by=PERSON, note="called the bank")
    for role, is_shown in (("viewer", False), ("operator", True)):
        page = signed_in(redis_client, role)
        for path in (f"/letters/{letter_id}", f"/logins/{reference}"):
            for prefix in ("", "/api/v1"):
                text = page.get(f"{prefix}{path}").text
                assert "called the bank" in text
                assert (PERSON.address in text) == is_shown, (role, prefix, path)


def test_the_page_of_a_waiting_login_names_what_is_on_the_page_and_no_command(
    redis_client: Redis, vault: Vault
) -> None:
    reference = file_login(redis_client, vault)
    parts = review_parts(redis_client)
    parts.letter_actions.replay(newest_letter(redis_client), by=PERSON)
    parts.gate.close("toolbox", by=PERSON, reason="the bank asked for it")
    page = signed_in(redis_client)
    for path in (f"/logins/{reference}", "/", "/operations", f"/letters/{newest_closed(redis_client)}"):
        text = page.get(path).text
        assert "open the gate on the page Operations" in text, path
        assert "nightly gate open" not in text, path


def newest_closed(client: Redis) -> str:
    (letter_id,) = client.zrevrange("nightly:letters:closed", 0, 0)
    return str(letter_id.decode())
