"""The search of the page: by any id, a bounded time in each request, and never with what a person typed in Redis."""

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letter, file_letters
from worker.errors import InvalidFilter
from worker.ledger import Ledger, Wish
from worker.ledger.find import KEYS_IN_SLICE
from worker.operations.search import Found, Search
from worker.vault.vault import Vault

CANARY = "canary-7f3d-login"


@pytest.fixture
def search(redis_client: Redis, vault: Vault) -> Search:
    return Search(redis_client, open_vault=lambda: vault, instances=lambda: ["toolbox", "acme"])


@pytest.fixture
def reference(redis_client: Redis, vault: Vault) -> str:
    """Return the login of CANARY on acme, whose dead letter is dl-1."""
    found = vault.reference("acme", CANARY)
    wish = Wish(found, "acme", b"sealed", 1_600_000_000_000_000, wants_active=True, event_id="evt-1", account_id="c-1")
    Ledger(redis_client).record([wish])
    return found


def test_a_login_is_found_by_each_of_its_ids(search: Search, reference: str) -> None:
    for text, by in ((reference, "reference"), (CANARY, "loginId"), ("evt-1", "event id"), ("c-1", "account id")):
        (found,) = search.find(text).found
        assert found.login is not None
        assert (found.login["login"], found.by) == (reference, by)


def test_without_keys_everything_but_a_login_id_is_found(redis_client: Redis, reference: str) -> None:
    without = Search(redis_client, open_vault=None, instances=list)
    assert without.find(reference).found
    assert without.find("evt-1").found
    assert not without.find(CANARY).found


def test_a_letter_leads_to_its_login_while_it_is_the_login_s_own(search: Search, redis_client: Redis) -> None:
    reference = "lgn_" + "a" * 26
    file_letter(redis_client, "dl-1", 1, login=reference)
    file_letter(redis_client, "dl-2", 2, login=reference)
    (of_login,), (of_letter,) = search.find("dl-2").found, search.find("dl-1").found
    assert of_login.login is not None
    assert (of_letter.login, of_letter.letter is not None) == (None, True)
    assert not search.find("dl-3").found


def test_jobs_are_found_by_their_id(search: Search, redis_client: Redis) -> None:
    redis_client.hset("nightly:backfill:bf-aaaaaaaaaa", "status", "running")
    assert [found.job for found in search.find("bf-aaaaaaaaaa").found] == ["bf-aaaaaaaaaa"]
    assert not search.find("job-aaaaaaaaaa").found


def test_a_search_that_runs_out_of_time_goes_on_where_it_stopped(search: Search, redis_client: Redis) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at} for at in range(KEYS_IN_SLICE)))
    redis_client.hset("nightly:letter:dl-7", "account_id", "c-7")
    found: list[Found] = []
    after, requests = None, 0
    while requests == 0 or after:
        results = search.find("c-7", seconds=0, after=after)
        found, after, requests = found + results.found, results.next, requests + 1
    assert [each.letter and each.letter.id for each in found] == ["dl-7"]
    assert requests > 1


def test_a_wrong_place_and_a_text_that_is_no_id_are_refused(search: Search) -> None:
    for text, after in (("x", "x"), ("x", "\u0663"), ("x", "9" * 20), ("x" * 1001, None), ("\udcff", None)):
        with pytest.raises(InvalidFilter):
            search.find(text, after=after)


@pytest.mark.usefixtures("reference")
def test_what_a_person_typed_is_in_no_command(search: Search, redis_client: Redis) -> None:
    redis_client.config_set("slowlog-log-slower-than", 0)
    redis_client.slowlog_reset()
    try:
        assert search.find(CANARY).found
        assert not search.find(f"{CANARY}-unknown").found
        assert CANARY not in str(redis_client.slowlog_get(1000))
    finally:
        redis_client.config_set("slowlog-log-slower-than", 10_000)
