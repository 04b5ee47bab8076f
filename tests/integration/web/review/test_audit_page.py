"""The page `/audit`: who did what, found by target, person and action; verified, and exported."""

import json

import pytest
from redis import Redis

from tests.review_page import signed_in
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.web.review.pages import audit

ANN, BOB = Actor("ann", "operator", "page", "10.0.0.7"), Actor("bob", "admin", "cli")
NASTY = '<script>alert("x")</script>\x1b\u202e\n' + "x" * 3000


def fill(client: Redis, count: int = 1, by: Actor = ANN, action: str = "letter.replay", why: str = "") -> None:
    log = AuditLog(client)
    for number in range(count):
        log.append(Deed(by, action, f"dl-{number}", why))


def test_the_log_shows_who_did_what_newest_first(redis_client: Redis) -> None:
    fill(redis_client, why="the bank is back")
    AuditLog(redis_client).append(Deed(BOB, "group.mute", "toolbox|INVALID_LOGIN|on", detail={"until": 5}))
    text = signed_in(redis_client, "operator").get("/audit").text
    assert text.index("<code>group.mute") < text.index("<code>letter.replay")
    assert 'href="/letters/dl-0"' in text
    assert 'href="/letters?instance=toolbox&amp;code=INVALID_LOGIN&amp;wish=on"' in text
    for words in ("the bank is back", "until: 5", "operator, page, 10.0.0.7", "2 entries."):
        assert words in text


def test_a_page_number_that_makes_no_sense_is_harmless(redis_client: Redis) -> None:
    fill(redis_client)
    page = signed_in(redis_client, "operator")
    for before in ("", "-1", "0", "9" * 15, "9" * 5000, "\u0663", "1e3"):
        assert page.get("/audit", params={"before": before}).status_code == 200, before[:20]


def test_entries_before_a_number_that_does_not_exist_yet_are_all(redis_client: Redis) -> None:
    AuditLog(redis_client).append(Deed(ANN, "gate.close", "toolbox", "the bank asked for it"))
    assert "the bank asked for it" in signed_in(redis_client).get("/audit?before=999999").text


def test_an_empty_log_says_what_it_will_hold(redis_client: Redis) -> None:
    text = signed_in(redis_client, "operator").get("/audit").text
    assert "Nobody has changed anything yet." in text
    assert "No entry yet." in text


def test_entries_are_found_by_person_action_and_target(redis_client: Redis) -> None:
    fill(redis_client, 3)
    fill(redis_client, by=BOB, action="gate.close")
    page = signed_in(redis_client, "operator")
    for query, found in (("by=bob", 1), ("action=letter", 3), ("action=letter.replay&by=ann", 3), ("target=dl-0", 2),
                         ("target=dl-0&by=ann", 1), ("by=eve", 0), ("action=let", 0)):  # fmt: skip
        assert page.get(f"/audit?{query}").text.count("<tr data-row>") == found, query
    assert "No entry matches." in page.get("/audit?by=eve").text


def test_pages_follow_one_another_without_a_gap(redis_client: Redis) -> None:
    fill(redis_client, 120)
    page, seen, address = signed_in(redis_client, "operator"), [], "/audit"
    while address:
        text = page.get(address).text
        seen += [int(part.split("<")[0]) for part in text.split('data-label="No.">')[1:]]
        rest = text.split('rel="next" href="')
        address = rest[1].split('"')[0].replace("&amp;", "&") if len(rest) > 1 else ""
    assert seen == list(range(120, 0, -1))


def test_values_of_colleagues_are_escaped(redis_client: Redis) -> None:
    fill(redis_client, by=Actor(NASTY, "operator", "page", NASTY), action=NASTY, why=NASTY)
    AuditLog(redis_client).append(Deed(ANN, "x", NASTY, detail={NASTY: NASTY}))
    response = signed_in(redis_client, "operator").get("/audit", params={"by": NASTY})
    for text in (response.text, signed_in(redis_client, "operator").get("/audit").text):
        assert "<script>alert" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_a_changed_entry_is_found(redis_client: Redis) -> None:
    fill(redis_client, 3)
    page = signed_in(redis_client, "operator")
    assert "The chain is intact." in page.get("/audit/verify").text
    entry = json.loads(redis_client.lindex("nightly:audit", 1))
    redis_client.lset("nightly:audit", 1, json.dumps(entry | {"by": "eve"}, separators=(",", ":")))
    text = page.get("/audit/verify").text
    assert "The chain breaks at entry 3." in text
    redis_client.set("nightly:audit-head", "rubbish")
    assert "somebody has changed it" in page.get("/audit").text


def test_the_export_is_every_entry_as_stored_and_is_an_entry_itself(redis_client: Redis) -> None:
    fill(redis_client, 2)
    response = signed_in(redis_client, "admin").get("/audit/export")
    assert response.headers["content-disposition"] == 'attachment; filename="nightly-audit.ndjson"'
    lines = response.text.splitlines()
    assert [line.encode() for line in lines] == redis_client.lrange("nightly:audit", 0, -1)
    assert [json.loads(line)["action"] for line in lines] == ["letter.replay", "letter.replay", "audit.export"]


def test_a_link_on_another_site_exports_nothing_in_the_name_of_a_person(redis_client: Redis) -> None:
    page = signed_in(redis_client, "admin")
    for path in ("/audit/export", "/api/v1/audit/export"):
        for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
            assert page.get(path, headers={"sec-fetch-site": site}).status_code == status, (path, site)
    assert [entry.action for entry in AuditLog(redis_client).entries()] == ["audit.export"] * 4


def test_a_filter_that_matches_little_goes_on_where_it_stopped(
    redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SEARCHED_AT_MOST", 5)
    fill(redis_client, by=BOB)
    fill(redis_client, 7)
    page = signed_in(redis_client, "operator")
    text = page.get("/audit?by=bob").text
    assert "Go on with the button below." in text
    assert 'href="/audit?by=bob&amp;before=4"' in text
    assert page.get("/audit?by=bob&before=4").text.count("<tr data-row>") == 1
