"""A page whose settings are not those of the ledger changes nothing: other LOGIN_KEYS, a sandbox, a newer Nightly."""

import pytest
from redis import Redis

from tests.integration.web.review.letters import INSTANCE, LOGIN_ID, file_login, newest_letter
from tests.review_page import Page, signed_in
from worker.ledger import Ledger, Letters
from worker.vault.vault import Vault

OTHER = Vault([bytes(range(32))])


def opened(client: Redis, vault: Vault, ledger: dict[str, str]) -> tuple[Page, str]:
    """Return a page of an admin with these keys, and the id of a letter of a ledger with these marks."""
    file_login(client, Vault([b"k" * 32]))
    page = signed_in(client, "admin", vault=vault)
    for name, value in ledger.items():
        client.hset("nightly:meta", name, value)
    return page, newest_letter(client)


def begun_with(vault: Vault) -> dict[str, str]:
    return {"reference_key": vault.fingerprint("reference")}


def content(client: Redis) -> dict[bytes, bytes]:
    """Return every key but those of sessions."""
    return {key: client.dump(key) or b"" for key in client.scan_iter() if not key.startswith(b"nightly:session:")}


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (begun_with(Vault([b"k" * 32])), "LOGIN_KEYS does not hold the key"),
        ({"kind": "sandbox"}, "This ledger was begun as a sandbox"),
        ({"schema": "999"}, "The ledger was written by a newer Nightly"),
    ],
)
def test_no_action_changes_a_ledger_of_other_settings(redis_client: Redis, ledger: dict[str, str], words: str) -> None:
    page, letter_id = opened(redis_client, OTHER, ledger)
    before = content(redis_client)
    for path, fields in (
        (f"/letters/{letter_id}/correct", {"login_id": "another-login", "reason": "typing error"}),
        (f"/letters/{letter_id}/resolve", {"note": "done"}),
        (f"/letters/{letter_id}/reveal", {"reason": "a call"}),
        ("/groups/assign", {"instance": INSTANCE, "code": "INVALID_LOGIN", "wish": "off", "owner": "ann"}),
        (f"/operations/gates/{INSTANCE}/close", {"reason": "a test"}),
        ("/bulk", {"verb": "replay", "code": "INVALID_LOGIN"}),
    ):
        response = page.send(path, **fields)
        assert response.status_code == 503, path
        assert words in response.text, path
        assert "Nothing was done." in response.text, path
    assert content(redis_client) == before
    assert page.get(f"/letters/{letter_id}").status_code == 200, "it can be read"


def test_a_search_says_that_login_ids_cannot_be_found_under_other_keys(redis_client: Redis) -> None:
    page, _ = opened(redis_client, OTHER, begun_with(Vault([b"k" * 32])))
    assert "LOGIN_KEYS does not hold the key" in page.send("/letters/search", text=LOGIN_ID).text


def test_after_a_new_key_was_put_in_front_everything_works(redis_client: Redis) -> None:
    first = Vault([b"k" * 32])
    rotated = Vault([bytes(range(32)), b"k" * 32])
    Ledger(redis_client).open_ledger(first.fingerprint("reference"))
    page, letter_id = opened(redis_client, rotated, {})
    assert LOGIN_ID in page.send_and_follow(f"/letters/{letter_id}/reveal", reason="a call").text
    page.send(f"/letters/{letter_id}/correct", login_id="another-login", reason="typing error")
    assert Letters(redis_client).get(letter_id).corrected_to == first.reference(INSTANCE, "another-login")
