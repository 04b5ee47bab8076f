"""`/`: what needs a person, the groups, what people do to them, and values that others filled."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letters
from tests.integration.web.review.hostile import HOSTILE, check_is_harmless
from tests.integration.web.review.letters import file_login
from tests.review_page import Page, signed_in
from worker.config.gate_thresholds import DEFAULT_RULES
from worker.ledger.audit import Actor, AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views
from worker.vault.vault import Vault

GROUP = {"instance": "toolbox", "code": "INVALID_LOGIN", "wish": "off"}
NAME = "toolbox|INVALID_LOGIN|off"
_FORM = re.compile(r'<form[^>]* action="/groups/(\w+)"[^>]*>(.*?)</form>', re.DOTALL)
_HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')


@pytest.fixture
def page(redis_client: Redis) -> Page:
    at = Views(redis_client).now_ms() - 60_000
    file_letters(redis_client, ({"id": f"dl-{n}", "created_at": at, "wish": "off"} for n in range(3)))
    file_letters(redis_client, [{"id": "dl-9", "created_at": at, "code": "retries_exhausted"}])
    return signed_in(redis_client)


def fields(text: str, verb: str) -> dict[str, str]:
    """Return the hidden fields of the first form with this action."""
    form = next(body for name, body in _FORM.findall(text) if name == verb)
    return {name: unescape(value) for name, value in _HIDDEN.findall(form) if name != "csrf"}


def quiet(text: str) -> str:
    """Return the part of the page with acknowledged and muted groups."""
    return text.partition('<details class="box later">')[2]


def test_a_group_shows_its_cause_what_to_do_and_leads_to_its_letters(page: Page) -> None:
    text = page.get("/").text
    assert "2 groups to review" in text
    assert "the card is probably deleted already" in text
    assert "Nothing left to switch off" in text
    assert "Every attempt failed." in text
    assert "3 new letters in 24 hours" in text
    href = unescape(re.search(r'href="(/letters\?instance=[^"]+)"', text)[1])  # type: ignore[index]
    assert len(re.findall(r'href="/letters/dl-\d"', page.get(href).text)) == 3


def test_without_letters_the_page_says_so(redis_client: Redis) -> None:
    assert "No dead letter is open." in signed_in(redis_client).get("/").text


def test_an_acknowledged_group_is_quiet_until_it_grows(page: Page, redis_client: Redis) -> None:
    response = page.send_and_follow("/groups/acknowledge", **fields(page.get("/").text, "acknowledge"))
    assert "INVALID_LOGIN (wish off) on toolbox is acknowledged" in response.text
    assert "acknowledged until it grows" in quiet(response.text)
    (entry,) = AuditLog(redis_client).entries(target=NAME)
    assert (entry.by, entry.action) == ("oscar", "group.acknowledge")
    file_letters(redis_client, [{"id": "dl-8", "created_at": 1_900_000_000_000, "wish": "off"}])
    assert not quiet(page.get("/").text)


def test_a_muted_group_is_quiet_until_its_time_and_can_be_reopened(page: Page) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT%H:%M}"
    response = page.send_and_follow("/groups/mute", **fields(page.get("/").text, "mute"), until=until)
    assert "muted until" in quiet(response.text)
    response = page.send_and_follow("/groups/reopen", **fields(response.text, "reopen"))
    assert "is open again" in response.text
    assert not quiet(response.text)


def test_a_group_gets_an_owner_and_loses_it(page: Page) -> None:
    response = page.send_and_follow("/groups/assign", **fields(page.get("/").text, "assign"), owner="boris")
    assert "owner: boris" in response.text
    response = page.send_and_follow("/groups/assign", **fields(response.text, "assign"), owner="")
    assert "owner: boris" not in response.text


def test_a_group_that_changed_meanwhile_stays_as_it_is(page: Page) -> None:
    seen = fields(page.get("/").text, "assign")
    assert page.send("/groups/assign", **seen, owner="boris").status_code == 303
    response = page.send("/groups/assign", **seen, owner="carla")
    assert response.status_code == 409
    assert "was changed by oscar since you looked at it. Nothing was done." in response.text


def test_an_acknowledgement_of_a_group_that_has_grown_does_nothing(page: Page, redis_client: Redis) -> None:
    seen = fields(page.get("/").text, "acknowledge")
    file_letters(redis_client, [{"id": "dl-8", "created_at": 1_900_000_000_000, "wish": "off"}])
    assert page.send("/groups/acknowledge", **seen).status_code == 409


def test_an_unknown_group_is_not_found(page: Page) -> None:
    response = page.send("/groups/reopen", instance="toolbox", code="X|Y" * 100_000, wish="off")
    assert response.status_code == 404
    assert len(response.text) < 10_000, "what was sent is not repeated in full"


@pytest.mark.usefixtures("page")
def test_a_viewer_sees_the_groups_without_actions(redis_client: Redis) -> None:
    text = signed_in(redis_client, "viewer").get("/").text
    assert "2 groups to review" in text
    assert 'action="/groups/' not in text
    assert 'action="/bulk"' not in text


def test_a_closed_gate_is_a_banner_with_its_cause_and_what_reopens_it(redis_client: Redis, vault: Vault) -> None:
    file_login(redis_client, vault)
    GateKeeper(redis_client, DEFAULT_RULES).close("toolbox", by=Actor("ann", "operator", "cli"), reason="maintenance")
    text = signed_in(redis_client).get("/").text
    assert 'role="alert"' in text
    assert "closed by ann: maintenance" in text
    assert "When the reason no longer applies" in text


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_of_a_group_becomes_markup(redis_client: Redis, value: str) -> None:
    text = value.replace("|", "")
    file_letters(redis_client, [{"id": "dl-1", "created_at": 1_900_000_000_000, "instance": text, "code": text}])
    group = f"{text}|{text}|on"
    redis_client.hset(f"nightly:group-state:{group}", mapping={"owner": value, "by": value})
    response = signed_in(redis_client).get("/")
    assert response.status_code == 200
    check_is_harmless(response)
