"""`/letters`: filters that survive, pages, empty states, and values that others filled."""

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import assign, file_letter, file_letters, snooze
from tests.integration.web.review.hostile import HOSTILE, check_is_harmless
from tests.review_page import signed_in

NOW_MS = 1_900_000_000_000
_LETTER = re.compile(r'href="/letters/(dl-\w+)"')
_NEXT = re.compile(r'rel="next" href="([^"]+)"')


def test_the_newest_letters_come_first_and_every_page_leads_to_the_next(redis_client: Redis) -> None:
    file_letters(redis_client, ({"id": f"dl-{n}", "created_at": NOW_MS + n // 7} for n in range(120)))
    page = signed_in(redis_client)
    found, path = [], "/letters?code=INVALID_LOGIN"
    while path:
        text = page.get(path).text
        found += _LETTER.findall(text)
        following = _NEXT.search(text)
        path = unescape(following[1]) if following else ""
        assert not path or "code=INVALID_LOGIN" in path
    assert len(found) == len(set(found)) == 120
    assert found[0] in {f"dl-{n}" for n in range(119, 111, -1)}
    assert "120 letters match" in text


def test_filters_are_shown_as_chips_that_remove_one_each(redis_client: Redis) -> None:
    file_letter(redis_client, "dl-1", NOW_MS, wish="off")
    file_letter(redis_client, "dl-2", NOW_MS)
    text = signed_in(redis_client).get("/letters?code=INVALID_LOGIN&wish=off&newer_event=0&attempts_at_least=1").text
    assert _LETTER.findall(text) == ["dl-1"]
    chips = [
        dict(parse_qsl(urlsplit(unescape(href)).query)) for href in re.findall(r'class="chip" href="([^"]+)"', text)
    ]
    assert {"wish": "off", "attempts_at_least": "1"} in chips
    assert len(chips) == 3
    assert 'name="next" value="/letters?code=INVALID_LOGIN&amp;wish=off' in text


def test_a_wrong_filter_is_named_and_not_repeated(redis_client: Redis) -> None:
    response = signed_in(redis_client).get("/letters?attempts_at_least=%3Cscript%3Ealert(1)%3C/script%3E")
    assert response.status_code == 400
    assert "attempts_at_least is not a whole number" in response.text
    check_is_harmless(response)


def test_an_empty_list_says_what_to_do_next(redis_client: Redis) -> None:
    page = signed_in(redis_client)
    assert "No dead letter is open." in page.get("/letters").text
    assert "Remove a filter above" in page.get("/letters?owner=nobody-here").text


def test_owner_and_state_of_each_letter_are_shown(redis_client: Redis) -> None:
    file_letters(redis_client, ({"id": f"dl-{n}", "created_at": NOW_MS} for n in range(2)))
    assign(redis_client, "dl-1", "boris")
    snooze(redis_client, "dl-0", 4_000_000_000_000)
    page = signed_in(redis_client)
    assert "boris" in page.get("/letters").text
    assert _LETTER.findall(page.get("/letters").text) == ["dl-1"]
    assert ">snoozed</span>" in page.get("/letters?state=snoozed").text


def test_a_viewer_sees_the_letters_and_no_actions(redis_client: Redis) -> None:
    file_letter(redis_client, "dl-1", NOW_MS)
    text = signed_in(redis_client, "viewer").get("/letters").text
    assert _LETTER.findall(text) == ["dl-1"]
    assert "You are a viewer" in text
    assert 'action="/bulk"' not in text
    assert 'name="ids"' not in text


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_of_a_letter_becomes_markup(redis_client: Redis, value: str) -> None:
    text = value.replace("|", "")
    file_letter(redis_client, "dl-1", NOW_MS, account_id=text, message=text, owner=text, code=text, instance=text)
    response = signed_in(redis_client).get("/letters")
    assert response.status_code == 200
    check_is_harmless(response)
