"""The pages of bulk jobs: the preflight, the start, progress, results, and what each role may do."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from tests.integration.ledger.many_letters import file_letters
from tests.review_page import Page, signed_in
from worker.backfill.feeder import Feeder
from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.ledger import Letters
from worker.ledger.audit import Actor, AuditLog
from worker.ledger.queries import Views
from worker.operations.letter_actions import LetterActions
from worker.vault.vault import Vault

NASTY = '<script>alert("x")</script>\x1b\u202e=1+1'


@pytest.fixture
def feeder(redis_client: Redis, vault: Vault) -> Feeder:
    """A feeder that may call for the instance of the letters."""
    redis_client.hset("nightly:configs:toolbox", "proven-one", "proven")
    return Feeder(Backfills(redis_client, vault), vault, {"toolbox": "proven-one"}, jobs=Jobs(redis_client))


def file_many(client: Redis, count: int, **changes: object) -> None:
    now = Views(client).now_ms()
    file_letters(client, ({"id": f"dl-{at}", "created_at": now - at} | changes for at in range(1, count + 1)))


def resolve(client: Redis, letter_id: str, by: str = "bob") -> None:
    LetterActions(client).resolve(letter_id, by=Actor(by, "operator", "page"), note="done by hand")


def prepared(page: Page, **fields: object) -> str:
    """Prepare a job; return the address of its preflight."""
    response = page.send("/bulk", **fields)
    assert response.status_code == 303, response.text
    return response.headers["location"]


def test_the_preflight_says_what_will_happen_before_anything_does(redis_client: Redis) -> None:
    file_many(redis_client, 12)
    resolve(redis_client, "dl-3")
    page = signed_in(redis_client, "operator")
    text = page.get(prepared(page, verb="replay", code="INVALID_LOGIN", ids=["dl-1", "dl-2", "dl-3"])).text
    assert "3 selected." in text
    assert "2 will be called, 1 are closed already; about 1 s at 50 calls/s." in text
    assert text.count('data-label="What will happen">Nothing: it is closed') == 1
    assert text.count('data-label="What will happen">') == 3
    assert text.count(">INVALID_LOGIN wish on</td>") == 3
    assert ">Run</button>" in text
    assert "to confirm" not in text
    assert Letters(redis_client).get("dl-1").status == "open"


def test_a_job_above_100_letters_starts_only_with_their_number(redis_client: Redis) -> None:
    file_many(redis_client, 101)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="replay", all="1")
    assert "Type 101 to confirm" in page.get(url).text
    for typed in ("", "100", "abc"):
        shown = page.send_and_follow(f"{url}/run", typed=typed)
        assert "type the number of its letters: 101" in shown.text
        assert "Type 101 to confirm" in shown.text
    shown = page.send_and_follow(f"{url}/run", typed="101")
    assert "runs. This page shows its progress" in shown.text
    assert AuditLog(redis_client).entries(limit=1)[0].action == "bulk.run"
    assert "You have started" in page.send_and_follow(f"{url}/run", typed="101").text, "a double click"
    again = signed_in(redis_client, "admin").send(f"{url}/run", typed="101")
    assert (again.status_code, "oscar started it" in again.text) == (409, True)
    assert len(AuditLog(redis_client).entries()) == 1


def test_a_long_list_says_when_it_was_counted_and_is_counted_again_on_request(redis_client: Redis) -> None:
    file_many(redis_client, 501)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="resolve", all="1", note="x")
    resolve(redis_client, "dl-3")
    text = page.get(url).text
    assert re.search(r"Counted <time [^>]*>[^<]*</time>: the list is long", text)
    assert "501 will be resolved." in text
    assert "500 will be resolved, 1 are closed already." in page.send_and_follow(f"{url}/count", next=url).text
    viewer = signed_in(redis_client, "viewer")
    assert "Count again" not in viewer.get(url).text
    assert viewer.send(f"{url}/count").status_code == 403
    page.send(f"{url}/run", typed="501")
    assert page.send(f"{url}/count").status_code == 409
    short = page.get(prepared(page, verb="replay", ids=["dl-1"])).text
    assert "Count again" not in short, "it is counted each time"


def test_a_job_runs_with_the_rate_that_its_preflight_asks_for(redis_client: Redis, feeder: Feeder) -> None:
    file_many(redis_client, 9)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="replay", all="1")
    assert "Letters a second" in page.get(url).text
    assert "The rate is not a number" in page.send_and_follow(f"{url}/run", rate="fast").text
    assert "Give a rate of 0.001 to" in page.send_and_follow(f"{url}/run", rate="0").text
    assert "runs. This page" in page.send_and_follow(f"{url}/run", rate="1.5").text
    assert "1.5 letters a second" in page.get(url).text
    assert feeder.feed() == 3, "two seconds of it at once"


def test_a_job_runs_and_shows_a_result_for_each_letter_and_a_report(redis_client: Redis, feeder: Feeder) -> None:
    file_many(redis_client, 60)
    resolve(redis_client, "dl-2", by=NASTY)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="resolve", all="1", note="checked with the producer")
    job_id = url.removeprefix("/bulk/")
    file_many(redis_client, 1, id="dl-late")
    page.send(f"{url}/run")
    running = page.get(url).text
    assert 'data-every="2"' in running
    assert f'action="{url}/pause"' in running
    assert feeder.feed() == 59
    text = page.get(url).text
    assert "100 %" in text
    assert "data-every" not in text
    assert "checked with the producer" in text
    assert text.count("<tr data-row") == 50
    rest = page.get(f"{url}?start=50").text
    assert rest.count("<tr data-row") == 9
    for start in ("-1", "x", "9" * 15, "9" * 5000):
        assert page.get(url, params={"start": start}).status_code == 200
    report = page.get(f"{url}/report.csv")
    assert report.headers["content-disposition"] == f'attachment; filename="{job_id}.csv"'
    rows = list(csv.DictReader(io.StringIO(report.text)))
    assert len(rows) == 59
    assert {row["outcome"] for row in rows} == {"resolved"}
    assert (rows[0]["number"], rows[0]["instance"], rows[0]["code"]) == ("1", "toolbox", "INVALID_LOGIN")


def test_names_of_colleagues_are_harmless_in_the_page_and_the_report(redis_client: Redis, feeder: Feeder) -> None:
    file_many(redis_client, 2)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="resolve", all="1", note=NASTY)
    resolve(redis_client, "dl-2", by=f"=cmd,{NASTY}")
    page.send(f"{url}/run")
    feeder.feed()
    for text in (page.get(url).text, page.get("/bulk").text, page.get("/operations").text):
        assert "<script>alert" not in text
        assert "\u202e" not in text
    cells = list(csv.reader(io.StringIO(page.get(f"{url}/report.csv").text)))[2]
    assert cells[-1].startswith("'=cmd,")
    assert not any(character in cells[-1] for character in "\x1b\u202e")


def test_a_job_is_paused_resumed_and_cancelled(redis_client: Redis) -> None:
    file_many(redis_client, 2)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="replay", all="1")
    page.send(f"{url}/run")
    for action, words in (("pause", "is paused"), ("resume", "is running again"), ("cancel", "is cancelled")):
        assert f'action="{url}/{action}"' in page.get(url).text
        assert words in page.send_and_follow(f"{url}/{action}").text
    assert page.send(f"{url}/pause").status_code == 409
    assert "2 cancelled" in page.get("/bulk").text


def test_a_prepared_job_can_be_dropped(redis_client: Redis) -> None:
    file_many(redis_client, 1)
    page = signed_in(redis_client, "operator")
    url = prepared(page, verb="replay", all="1")
    assert "is cancelled" in page.send_and_follow(f"{url}/cancel", next="/bulk").text
    assert Letters(redis_client).get("dl-1").status == "open"


def test_the_new_owner_of_letters_is_not_taken_for_a_filter(redis_client: Redis) -> None:
    file_many(redis_client, 3)
    LetterActions(redis_client).assign("dl-2", owner="bob", by=Actor("bob", "operator", "page"))
    page = signed_in(redis_client, "operator")
    next_week = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M}"
    fields = {"all": "1", "assign_to": "carl", "until": next_week}  # every form has them
    assert "3 selected." in page.get(prepared(page, verb="replay", **fields)).text
    text = page.get(prepared(page, verb="assign", owner="bob", **fields)).text
    assert "1 selected." in text
    assert "<dt>Owner</dt><dd>carl</dd>" in text
    assert "Snoozed until" not in text
    assert "Snoozed until" in page.get(prepared(page, verb="snooze", **fields)).text


def test_without_a_selection_nothing_is_prepared(redis_client: Redis) -> None:
    file_many(redis_client, 1)
    page = signed_in(redis_client, "operator")
    refused = page.send("/bulk", verb="replay")
    assert (refused.status_code, "No letter is selected" in refused.text) == (400, True)
    for fields in ({"verb": "delete", "all": "1"}, {"verb": "resolve", "all": "1"}, {"verb": "replay", "code": "none"},
                   {"verb": "snooze", "all": "1", "until": "soon"}, {"verb": "replay", "ids": "dl-99"}):  # fmt: skip
        assert page.send("/bulk", **fields).status_code in {400, 404}, fields
    assert "No bulk job was prepared yet." in page.get("/bulk").text


def test_a_viewer_sees_the_job_and_no_way_to_run_it(redis_client: Redis) -> None:
    file_many(redis_client, 1)
    operator = signed_in(redis_client, "operator")
    url = prepared(operator, verb="replay", all="1")
    text = signed_in(redis_client, "viewer").get(url).text
    assert "You are a viewer" in text
    assert 'action="/bulk' not in text


def test_an_unknown_job_is_not_found(redis_client: Redis) -> None:
    page = signed_in(redis_client, "viewer")
    for path in ("/bulk/job-none", "/bulk/job-none/report.csv", "/bulk/bf-none"):
        assert page.get(path).status_code == 404


def test_only_the_newest_jobs_are_read_and_those_that_still_run(redis_client: Redis) -> None:
    file_many(redis_client, 1)
    page = signed_in(redis_client, "operator")
    runs = prepared(page, verb="replay", all="1")
    page.send(f"{runs}/run")
    for _ in range(52):
        newest = prepared(page, verb="replay", all="1")
    text = page.get("/bulk").text
    assert text.count('class="card job"') == 51
    assert "2 older ones are not shown" in text
    assert text.index(newest) < text.index(runs)
    text = page.get("/operations").text
    assert text.count('class="card job"') == 20
    assert (runs in text, "33 older ones are not shown" in text) == (True, True)
