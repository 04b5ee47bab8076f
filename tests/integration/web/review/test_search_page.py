"""The search box: it leads to what has the id, and neither shows nor keeps what was typed."""

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letter
from tests.review_page import signed_in
from worker.vault.vault import Vault

NOW_MS = 1_900_000_000_000
REFERENCE = f"lgn_{'a' * 26}"
LOGIN_ID = "5b1f3d1e-8a34-4c62-9d2e-000000000001"


@pytest.mark.parametrize(("text", "target"), [("dl-1", "/letters/dl-1"), (f" {REFERENCE} ", f"/logins/{REFERENCE}")])
def test_an_id_of_our_own_leads_to_its_page(redis_client: Redis, text: str, target: str) -> None:
    file_letter(redis_client, "dl-1", NOW_MS, login=REFERENCE)
    response = signed_in(redis_client, "viewer").send("/letters/search", text=text)
    assert (response.status_code, response.headers["location"]) == (303, target)


def test_a_login_id_leads_to_its_login_and_stays_out_of_the_address(redis_client: Redis, vault: Vault) -> None:
    reference = vault.reference("toolbox", LOGIN_ID)
    file_letter(redis_client, "dl-1", NOW_MS, login=reference)
    response = signed_in(redis_client, "viewer", vault=vault).send("/letters/search", text=LOGIN_ID)
    assert response.headers["location"] == f"/logins/{reference}"


def test_several_matches_are_listed(redis_client: Redis) -> None:
    for number in range(2):
        reference = f"lgn_{'ab'[number] * 26}"
        file_letter(redis_client, f"dl-{number}", NOW_MS, login=reference)
        redis_client.hset(f"nightly:login:{reference}", "a", "cust-42")
    response = signed_in(redis_client).send("/letters/search", text="cust-42")
    assert "2 matches" in response.text
    assert f'href="/logins/lgn_{"b" * 26}"' in response.text
    assert "account id" in response.text


def test_what_is_not_found_is_not_repeated_on_the_page(redis_client: Redis) -> None:
    response = signed_in(redis_client).send("/letters/search", text=LOGIN_ID)
    assert response.status_code == 200
    assert "The ledger has nothing with this" in response.text
    assert "this page has no LOGIN_KEYS" in response.text
    assert LOGIN_ID not in response.text


def test_an_empty_text_is_not_searched_for(redis_client: Redis) -> None:
    page = signed_in(redis_client)
    assert "Type an id to search for." in page.send_and_follow("/letters/search", text=" ", next="/letters").text
