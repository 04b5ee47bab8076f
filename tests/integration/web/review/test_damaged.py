"""What somebody damaged in Redis by hand is shown as unreadable, with what to do, beside the rest of its list."""

import os
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letters
from tests.integration.web.review.letters import an_event, file_login, file_message, newest_letter
from tests.people import ANN
from tests.review_page import REVIEW_USERS, Page, review_parts, signed_in
from worker.backfill.store import ALL as BACKFILLS
from worker.ledger.letter_filter import LetterFilter
from worker.vault.vault import Vault
from worker.web.review.api.table import API_ROWS, PREFIX
from worker.web.review.parts import Parts

WRONG = ("x", "-1", "9" * 30, "1.5", "nan", "", "\x00\xff", "a|b|c|d")
PROVES = "NIGHTLY_PROVE" in os.environ
PAGES = ("/", "/letters", "/letters?state=any&newer_event=1&filed_after=30d", "/bulk", "/operations")


class Damage:
    """One hash that is damaged in every way, and the pages that show it."""

    def __init__(self, client: Redis, key: str) -> None:
        self._client, self._key = client, key
        self._whole = client.hgetall(key)

    def ways(self) -> Iterator[str]:
        """Damage the hash in one way after another, and name each; at the end it is whole again."""
        for place, name in enumerate(sorted(self._whole)):
            for value in WRONG if PROVES else WRONG[place % len(WRONG) :][:1] if place % 4 == 0 else ():
                self._client.hset(self._key, name, value)
                yield f"{name!r} is {value!r}"
            if PROVES or place % 4 == 2:
                self._client.hdel(self._key, name)
                yield f"{name!r} is missing"
            self._client.hset(self._key, name, self._whole[name])
        self._client.hset(self._key, b"\xff", b"\xff")
        yield "a field of another name"
        self._client.delete(self._key)
        self._client.sadd(self._key, "x")
        yield "another type"
        self._client.delete(self._key)
        self._client.hset(self._key, mapping=self._whole)


@pytest.fixture
def parts(redis_client: Redis, vault: Vault) -> Parts:
    file_login(redis_client, vault)
    file_message(redis_client, vault, an_event(time="yesterday"))
    file_letters(redis_client, [{"id": "dl-whole", "created_at": 1_900_000_000_000, "wish": "off"}])
    return review_parts(redis_client, vault=vault, review_users=REVIEW_USERS)


@pytest.fixture
def page(parts: Parts) -> Page:
    return signed_in(parts.client, "admin", parts=parts)


def failures(page: Page, damage: Damage, *paths: str) -> list[str]:
    """Return the requests that failed, or that do not say what is wrong, in any way of the damage."""
    found = []
    for way in damage.ways():
        for path in paths:
            response = page.get(path)
            says_what = response.status_code in {200, 400, 404} or "nreadable" in response.text
            if response.status_code >= 500 or not says_what:
                found.append(f"{way}: {path}: {response.status_code} {response.text[:200]}")
    return found


def api(**values: str) -> list[str]:
    """Return the addresses of the API that read, for these things."""
    names = {"id": "dl-x", "reference": "lgn_x", "instance": "toolbox"} | values
    return [PREFIX + row.path.format(**names) for row in API_ROWS if row.method == "GET"]


def test_a_damaged_letter_leaves_the_rest_of_the_list(page: Page, parts: Parts) -> None:
    letter = parts.letters.get(newest_letter_of_login(parts.client))
    paths = (*PAGES, f"/letters/{letter.id}", f"/logins/{letter.login}", *api(id=letter.id, reference=letter.login))
    assert failures(page, Damage(parts.client, f"nightly:letter:{letter.id}"), *paths) == []
    parts.client.hset(f"nightly:letter:{letter.id}", "created_at", "yesterday")
    text = page.get("/letters").text
    assert "dl-whole" in text
    assert "its field created_at is not a whole number" in text
    assert page.get(f"/letters/{letter.id}").status_code == 409
    assert "Unreadable" in page.get(f"/letters/{letter.id}").text
    listed = page.get(f"{PREFIX}/letters").json()
    assert "created_at" in listed["unreadable"][0]
    assert len(listed["letters"]) == 2


def test_a_damaged_letter_of_a_message_is_unreadable(page: Page, parts: Parts) -> None:
    assert failures(page, Damage(parts.client, "nightly:letter:iv-1"), *PAGES, "/letters/iv-1", *api(id="iv-1")) == []


def test_what_people_said_of_a_group_may_be_damaged(page: Page, parts: Parts) -> None:
    key = "nightly:group-state:toolbox|INVALID_LOGIN|off"
    until = parts.views.now_ms() + 1_000_000
    parts.client.hset(key, mapping={"owner": "ann", "state": "muted", "count": 3, "until": until, "by": "a", "at": 1})
    assert failures(page, Damage(parts.client, key), *PAGES, *api()) == []
    parts.client.hset(key, "until", "Monday")
    text = page.get("/").text
    assert "its field until is not a whole number" in text
    assert "1 group to review" not in text
    assert page.get(f"{PREFIX}/groups").json()[0]["problem"]


@pytest.mark.parametrize("name", [b"foreign", b"a|b", b"a|b|c|d", b"\xff|\xff|on"])
def test_a_foreign_name_among_the_groups_hides_no_other(page: Page, parts: Parts, name: bytes) -> None:
    parts.client.sadd("nightly:groups", name)
    for kind in (lambda key: parts.client.set(key, "x"), lambda key: parts.client.zadd(key, {"dl-whole": 1})):
        parts.client.delete(b"nightly:group:" + name)
        kind(b"nightly:group:" + name)
        for path in (*PAGES, "/letters?code=b", *api()):
            response = page.get(path)
            assert response.status_code < 500, path
        assert "INVALID_LOGIN" in page.get("/").text


def test_a_damaged_bulk_job_leaves_the_rest_of_the_list(page: Page, parts: Parts) -> None:
    whole, damaged = (parts.bulk.prepare("replay", LetterFilter(), by=ANN) for _ in range(2))
    parts.bulk.run(damaged.id, by=ANN)
    paths = ("/bulk", "/operations", f"/bulk/{damaged.id}", f"/bulk/{damaged.id}/report.csv", *api(id=damaged.id))
    assert failures(page, Damage(parts.client, f"nightly:backfill:{damaged.id}"), *paths) == []
    parts.client.hset(f"nightly:backfill:{damaged.id}", "status", "walking")
    text = page.get("/bulk").text
    assert whole.id in text
    assert "its field status is none of" in text
    assert page.get(f"/bulk/{damaged.id}").status_code == 409


def test_a_damaged_backfill_leaves_the_rest_of_the_list(page: Page, parts: Parts) -> None:
    key = "nightly:backfill:bf-aaaaaaaaaa"
    about = {"instance": "toolbox", "wish": "on", "status": "running", "as_of_us": 1, "rows": 1, "fed": 0}
    parts.client.hset(key, mapping=about | {"chunks": 1, "created_at": 1, "rate": "2.5", "loaded_at": 1})
    parts.client.zadd(BACKFILLS, {"bf-aaaaaaaaaa": 1})
    assert failures(page, Damage(parts.client, key), "/operations", *api(id="bf-aaaaaaaaaa")) == []
    parts.client.delete(key)
    parts.client.set(key, "x")
    assert "it is not a hash" in page.get("/operations").text


def test_a_damaged_login_and_its_history_are_unreadable(page: Page, parts: Parts) -> None:
    letter = parts.letters.get(newest_letter_of_login(parts.client))
    paths = ("/letters", f"/letters/{letter.id}", f"/logins/{letter.login}", *api(id=letter.id, reference=letter.login))
    assert failures(page, Damage(parts.client, f"nightly:login:{letter.login}"), *paths) == []
    for line in ("{", "[]", "[[]]", '["event"]', '["event",1,{},2]', "[1,2]", '["x","y"]', '["action","x"]', "[1e999]"):
        parts.client.set(f"nightly:history:{letter.login}", line)
        for path in paths:
            response = page.get(path)
            assert response.status_code in {200, 400, 404}, (line, path)
    assert "Unreadable: somebody changed a line" in page.get(f"/logins/{letter.login}").text


def test_a_damaged_session_has_ended(parts: Parts) -> None:
    page = signed_in(parts.client, "admin", parts=parts)
    (key,) = parts.client.keys("nightly:session:*")
    for way in Damage(parts.client, key.decode()).ways():
        assert page.get("/bulk", follow_redirects=False).status_code in {200, 303}, way


def newest_letter_of_login(client: Redis) -> str:
    client.zrem("nightly:letters:open", "dl-whole", "iv-1")
    letter_id = newest_letter(client)
    client.zadd("nightly:letters:open", {"dl-whole": 1_900_000_000_000, "iv-1": 1_900_000_000_000})
    return letter_id
