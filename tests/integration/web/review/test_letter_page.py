"""`/letters/ID`: what it shows, each action, and each state of a letter."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letter
from tests.integration.web.review.letters import (
    INSTANCE,
    LOGIN_ID,
    MESSAGE,
    Opened,
    an_event,
    file_login,
    file_message,
    newest_letter,
)
from tests.leaks import leaks
from tests.review_page import signed_in
from worker.ledger import Letters
from worker.ledger.queries import Views
from worker.vault.vault import Vault
from worker.web.review.cookies import REVEAL

OTHER_ID = "5b1f3d1e-8a34-4c62-9d2e-000000000002"


@pytest.fixture
def opened(redis_client: Redis, vault: Vault) -> Opened:
    return Opened(redis_client, vault)


def test_the_page_says_what_a_replay_would_do_before_it_is_done(opened: Opened) -> None:
    assert "What a replay would do now" in opened.text
    assert "Flinks is called with the newest wish: off" in opened.text
    assert "the card is probably deleted already" in opened.text
    assert MESSAGE in opened.text
    assert "HTTP 400" in opened.text
    assert LOGIN_ID not in opened.text


def test_a_replay_goes_back_to_the_list_with_its_filter_and_says_what_was_done(opened: Opened) -> None:
    response = opened.act("replay")
    assert (response.status_code, response.headers["location"]) == (303, "/letters?code=INVALID_LOGIN")
    assert f"{opened.letter_id}: Replayed" in opened.page.get("/letters").text
    assert opened.letter.status == "replayed"
    (entry,) = opened.audit.entries(target=opened.letter_id)
    assert (entry.by, entry.role, entry.via, entry.action) == ("oscar", "operator", "page", "letter.replay")


@pytest.mark.parametrize(
    ("verb", "fields", "status"),
    [
        ("resolve", {"note": "the customer left"}, "resolved"),
        ("nothing-left", {}, "resolved"),
        ("correct", {"login_id": OTHER_ID, "reason": "a typing error"}, "corrected"),
        ("correct", {"wish": "on", "reason": "they want it"}, "corrected"),
    ],
)
def test_each_action_closes_the_letter_under_the_name_of_the_person(
    opened: Opened, verb: str, fields: dict[str, str], status: str
) -> None:
    assert opened.act(verb, **fields).status_code == 303
    assert opened.letter.status == status
    text = opened.page.get(f"/letters/{opened.letter_id}").text
    assert "This letter is closed" in text
    assert "oscar" in text
    assert 'action="/letters/' not in text


def test_owner_note_and_snooze_are_shown(opened: Opened) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M}"
    for verb, fields in (
        ("assign", {"owner": "boris"}),
        ("note", {"note": "called the customer"}),
        ("snooze", {"until": until}),
    ):
        assert opened.act(verb, **fields, version="").status_code == 303, verb
    text = opened.page.get(f"/letters/{opened.letter_id}").text
    assert "owner: boris" in text
    assert "called the customer" in text
    assert ">snoozed</span>" in text


def test_a_snooze_until_no_date_or_until_the_past_does_nothing(opened: Opened) -> None:
    for until in ("tomorrow", "2001-01-01T00:00", "9999-12-31T23:59"):
        assert opened.act("snooze", until=until).status_code == 400, until
    assert opened.letter.snoozed_until is None


def test_an_action_on_a_letter_that_changed_meanwhile_is_refused_and_says_what_happened(opened: Opened) -> None:
    assert opened.act("note", note="mine").status_code == 303
    response = opened.act("resolve", note="too late")
    assert response.status_code == 409
    assert "Nothing was done" in response.text
    assert f'href="/letters/{opened.letter_id}">Look at it again</a>' in response.text
    assert opened.letter.status == "open"


def test_the_second_of_two_people_is_told_who_was_first(opened: Opened) -> None:
    assert opened.act("replay").status_code == 303
    response = opened.act("resolve", note="too late")
    assert response.status_code == 409
    assert "is closed already: replayed by oscar" in response.text


def test_a_resolution_needs_a_note_and_a_correction_a_reason(opened: Opened) -> None:
    assert opened.act("resolve", note=" ").status_code == 400
    assert opened.act("correct", login_id=OTHER_ID, reason="").status_code == 400
    assert opened.letter.status == "open"


@pytest.mark.parametrize("version", ["x", "9" * 16, "-1", "1.5"])
def test_an_odd_version_does_nothing(opened: Opened, version: str) -> None:
    assert opened.act("replay", version=version).status_code == 400
    assert opened.letter.status == "open"


def test_a_correction_calls_the_other_login_and_names_no_login_id(opened: Opened, redis_client: Redis) -> None:
    response = opened.page.send_and_follow(
        f"/letters/{opened.letter_id}/correct", login_id=OTHER_ID, reason="a typing error"
    )
    assert OTHER_ID not in response.text
    other = opened.letter.corrected_to
    assert f'href="/logins/{other}"' in response.text
    assert Views(redis_client).login(other)["wish"] == "off"  # type: ignore[index]
    assert Views(redis_client).login(other)["state"] == "waiting"  # type: ignore[index]


def test_a_reveal_is_shown_once_by_the_next_page_of_the_letter_and_is_in_the_audit_log_without_the_login_id(
    redis_client: Redis, vault: Vault
) -> None:
    opened = Opened(redis_client, vault, "admin")
    path = f"/letters/{opened.letter_id}"
    assert opened.act("reveal", reason="").status_code == 400
    response = opened.act("reveal", reason="the bank asked for it")
    assert (response.status_code, response.headers["location"]) == (303, path)
    sent = f"{response.text} {response.headers} {dict(opened.page.cookies)}".encode()
    assert leaks([LOGIN_ID], [("the response to the form", sent)]) == []
    assert LOGIN_ID not in opened.page.get(path, headers={"hx-request": "true"}).text
    assert LOGIN_ID not in opened.page.get("/letters").text
    shown = opened.page.get(path)
    assert LOGIN_ID in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert REVEAL in opened.page.cookies
    assert LOGIN_ID not in opened.page.get(path).text
    assert REVEAL not in opened.page.cookies, "without this change Chromium shows the page again from its memory"
    (entry,) = opened.audit.entries(target=opened.letter_id)
    assert (entry.action, entry.why) == ("letter.reveal", "the bank asked for it")


def test_a_reveal_is_shown_in_its_session_for_its_letter_and_for_a_minute_only(
    redis_client: Redis, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Opened(redis_client, vault, "admin")
    file_login(redis_client, vault, login_id=OTHER_ID)
    opened.act("reveal", reason="the bank asked for it")
    permission = opened.page.cookies[REVEAL]
    path, other = f"/letters/{opened.letter_id}", f"/letters/{newest_letter(redis_client)}"
    assert path != other
    assert OTHER_ID not in opened.page.get(other).text
    ends_at, _, mac = permission.partition(".")
    stranger = signed_in(redis_client, "admin", vault=vault)
    for page, text in ((stranger, permission), (opened.page, f"{int(ends_at) + 9}.{mac}"), (opened.page, "x")):
        page.cookies.set(REVEAL, text, domain="review.test", path="/")
        assert LOGIN_ID not in page.get(path).text
    opened.page.cookies.set(REVEAL, permission, domain="review.test", path="/")
    monkeypatch.setattr("worker.web.review.reveals.time.time", lambda: float(ends_at))
    assert LOGIN_ID not in opened.page.get(path).text
    monkeypatch.undo()
    assert LOGIN_ID in opened.page.get(path).text


def test_an_operator_may_not_reveal(opened: Opened) -> None:
    assert "Reveal loginId" not in opened.text
    response = opened.act("reveal", reason="please")
    assert response.status_code == 403
    assert LOGIN_ID not in response.text


def test_a_viewer_sees_no_action_and_a_line_that_says_why(redis_client: Redis, vault: Vault) -> None:
    opened = Opened(redis_client, vault, "viewer")
    assert 'action="/letters/' not in opened.text.replace('action="/letters/search"', "")
    assert "You are a viewer" in opened.text
    assert opened.act("replay").status_code == 403


def test_without_login_keys_all_but_secrets_works(redis_client: Redis, vault: Vault) -> None:
    file_login(redis_client, vault)
    page, letter_id = signed_in(redis_client, "admin"), newest_letter(redis_client)
    assert "Flinks is called with the newest wish" in page.get(f"/letters/{letter_id}").text
    response = page.send(f"/letters/{letter_id}/reveal", reason="please")
    assert response.status_code == 503
    assert "LOGIN_KEYS" in response.text
    assert page.send(f"/letters/{letter_id}/replay").status_code == 303


def test_a_letter_leads_to_the_next_one_of_its_group_also_when_it_is_closed(redis_client: Redis, vault: Vault) -> None:
    for number in range(3):
        file_letter(redis_client, f"dl-{number}", 1_900_000_000_000 - number, wish="off")
    file_letter(redis_client, "dl-9", 1_900_000_000_000 - 1)
    page = signed_in(redis_client, vault=vault)
    for letter_id, following in (("dl-0", "dl-1"), ("dl-1", "dl-2")):
        assert f'rel="next" href="/letters/{following}"' in page.get(f"/letters/{letter_id}").text
        page.send(f"/letters/{letter_id}/resolve", note="done")
        assert f'rel="next" href="/letters/{following}"' in page.get(f"/letters/{letter_id}").text
    assert 'rel="next"' not in page.get("/letters/dl-2").text


def test_an_unknown_letter_or_login_is_not_found(redis_client: Redis) -> None:
    page = signed_in(redis_client)
    assert page.get("/letters/dl-404").status_code == 404
    assert page.get(f"/logins/lgn_{'z' * 26}").status_code == 404
    assert page.send("/letters/dl-404/replay").status_code == 404


def test_a_rejected_message_is_corrected_and_its_secret_kept(redis_client: Redis, vault: Vault) -> None:
    event = an_event()
    del event["time"]
    file_message(redis_client, vault, event)
    page = signed_in(redis_client, vault=vault)
    text = page.get("/letters/iv-1").text
    assert LOGIN_ID not in text
    assert "[kept 1]" in text
    assert "is missing" in text
    still = page.send("/letters/iv-1/resubmit", body="{}", reason="try")
    assert still.status_code == 400
    assert "still invalid, so nothing was done" in still.text
    body = '{"specversion": "1.0", "id": "evt-9", "source": "/billing", "type": "account.linked",\r\n "time": '
    body += f'"2026-11-22T10:00:00Z", "data": {{"loginId": "[kept 1]", "instance": "{INSTANCE}"}}}}'
    assert page.send("/letters/iv-1/resubmit", body=body, reason="the time was missing").status_code == 303
    assert Letters(redis_client).get("iv-1").status == "corrected"
    assert Views(redis_client).login(vault.reference(INSTANCE, LOGIN_ID))["wish"] == "on"  # type: ignore[index]
