"""The page `/operations`: the state of each instance, and what an operator may do to gates and backfills."""

import json

import pytest
from redis import Redis

from tests.people import ANN
from tests.review_page import signed_in
from worker.backfill.models import Row, Status
from worker.backfill.store import Backfills
from worker.ledger.audit import AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views
from worker.ledger.stored_hash import raise_it
from worker.vault.vault import Vault
from worker.web.review.pages.operations import SHOWN_JOBS

NASTY = '<script>alert("x")</script>\x1b\u202e'


@pytest.fixture
def backfill(redis_client: Redis, vault: Vault) -> str:
    """A backfill that is running."""
    backfills = Backfills(redis_client, vault)
    made = backfills.create(instance="toolbox", wish="off", as_of_us=1, name=NASTY, by=NASTY)
    backfills.put_chunk(made.id, 0, [Row(line, f"login-{line}") for line in range(3)], "")
    return backfills.commit(made.id, "digest", by=ANN).id


def test_an_empty_system_says_what_to_do_next(redis_client: Redis) -> None:
    text = signed_in(redis_client, "viewer").get("/operations").text
    for words in ("No event is recorded yet.", "No worker is alive.", "None was started yet.", "no message waits"):
        assert words in text


def test_an_operator_closes_and_opens_a_gate_with_a_reason_that_is_recorded(redis_client: Redis) -> None:
    page = signed_in(redis_client, "operator")
    redis_client.sadd("nightly:instances", "toolbox")
    page.get("/operations")
    shown = page.send_and_follow("/operations/gates/toolbox/close", reason=f"maintenance {NASTY}", version="0")
    assert "The gate of toolbox is closed." in shown.text
    assert "closed by oscar: maintenance &lt;script&gt;" in shown.text
    assert "<script>alert" not in shown.text
    gate = Views(redis_client).gate("toolbox")
    assert (gate["state"], gate["by"]) == ("closed", "oscar")
    shown = page.send_and_follow("/operations/gates/toolbox/open", reason="done", version=str(gate["changed_at"]))
    assert "The gate of toolbox is open." in shown.text
    entries = AuditLog(redis_client).entries(target="toolbox")
    assert [(entry.action, entry.by, entry.via) for entry in entries] == [
        ("gate.open", "oscar", "page"), ("gate.close", "oscar", "page"),
    ]  # fmt: skip


def test_a_gate_is_not_changed_without_a_reason_or_by_somebody_who_saw_an_older_one(redis_client: Redis) -> None:
    page = signed_in(redis_client, "operator")
    redis_client.sadd("nightly:instances", "toolbox")
    refused = page.send("/operations/gates/toolbox/close", reason=" ")
    assert (refused.status_code, "Reason is empty. Nothing was done" in refused.text) == (400, True)
    GateKeeper(redis_client).close("toolbox", by=ANN, reason="other")
    late = page.send("/operations/gates/toolbox/open", reason="x", version="0")
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert Views(redis_client).gate("toolbox")["state"] == "closed"
    assert page.send("/operations/gates/elsewhere/close", reason="x").status_code == 400
    assert not redis_client.exists("nightly:gate:elsewhere")


def test_a_backfill_shows_its_progress_and_is_paused_resumed_and_cancelled(redis_client: Redis, backfill: str) -> None:
    page = signed_in(redis_client, "operator")  # it has no LOGIN_KEYS
    text = page.get("/operations").text
    assert "0 %: 0 of 3 ended, 0 failed" in text
    assert "<script>alert" not in text
    backfills, url = Backfills(redis_client, None), f"/operations/backfills/{backfill}"
    for action, status in (("pause", Status.PAUSED), ("resume", Status.RUNNING), ("cancel", Status.CANCELLED)):
        assert f'action="{url}/{action}"' in page.get("/operations").text
        assert backfill in page.send_and_follow(f"{url}/{action}").text
        assert backfills.get(backfill).status is status
    assert page.send(f"{url}/resume").status_code == 409
    assert page.send("/operations/backfills/bf-none/pause").status_code == 404


def test_the_newest_backfills_are_read_and_older_ones_only_while_they_run(redis_client: Redis, backfill: str) -> None:
    backfills = Backfills(redis_client, None, now_ms=lambda: 2_000_000_000_000)
    newer = [backfills.create(instance="toolbox", wish="off", as_of_us=1).id for _ in range(SHOWN_JOBS + 5)]
    found, others = backfills.newest(SHOWN_JOBS, on_unreadable=raise_it)
    assert (len(found), others) == (SHOWN_JOBS + 1, 5)
    assert backfill in {one.id for one in found}
    text = signed_in(redis_client, "viewer").get("/operations").text
    assert sum(name in text for name in newer) + (backfill in text) == SHOWN_JOBS
    assert "6 older ones are not shown" in text


def test_a_viewer_sees_the_state_without_any_form_to_change_it(redis_client: Redis, backfill: str) -> None:
    text = signed_in(redis_client, "viewer").get("/operations").text
    assert backfill in text
    assert 'action="/operations' not in text


def test_the_part_that_renews_itself_is_the_same_without_javascript(redis_client: Redis) -> None:
    page = signed_in(redis_client, "viewer")
    text = page.get("/operations").text
    assert 'id="live" data-every="3" hx-get="/operations" hx-select="#live"' in text
    assert '<a href="/operations">Refresh</a>' in text
    assert 'id="live"' in page.get("/operations", headers={"hx-request": "true"}).text


def test_workers_and_their_names_are_shown_escaped(redis_client: Redis) -> None:
    now = Views(redis_client).now_ms()
    redis_client.hset("nightly:workers", NASTY, json.dumps({"at": now, "slots": NASTY}))
    text = signed_in(redis_client, "viewer").get("/operations").text
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;") >= 2
