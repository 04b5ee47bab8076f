"""The API: each verb as JSON, tokens, versions, and what it says of wrong requests. test_routes.py tests the roles."""

import json
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.integration.web.review.letters import INSTANCE, LOGIN_ID, an_event, file_login, file_message, newest_letter
from tests.leaks import leaks
from tests.review_page import Page, browser, review_parts
from worker.ledger import Letters
from worker.ledger.audit import AuditLog
from worker.ledger.queries import Views
from worker.vault.vault import Vault
from worker.web.review.tokens import entry_for, new_token

RIGHT_ID = "5b1f3d1e-8a34-4c62-9d2e-000000000002"
GROUP = {"instance": INSTANCE, "code": "INVALID_LOGIN", "wish": "off"}


class Api:
    """A program with a token of one role."""

    def __init__(self, client: Redis, vault: Vault | None, role: str = "operator") -> None:
        token = new_token()
        parts = review_parts(client, vault=vault, review_tokens=entry_for("robot", role, token))
        self.page: Page = browser(parts)
        self.headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str) -> Any:
        return self._found(self.page.get(f"/api/v1{path}", params=query, headers=self.headers))

    def act(self, path: str, **body: Any) -> Any:
        return self._found(self.try_to(path, **body))

    def try_to(self, path: str, **body: Any) -> httpx.Response:
        return self.page.request("POST", f"/api/v1{path}", json=body, headers=self.headers)

    def _found(self, response: httpx.Response) -> Any:
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def api(redis_client: Redis, vault: Vault) -> Api:
    return Api(redis_client, vault)


@pytest.fixture
def letter_id(redis_client: Redis, vault: Vault) -> str:
    file_login(redis_client, vault)
    return newest_letter(redis_client)


def test_a_letter_says_what_a_replay_would_do_and_a_replay_does_it(
    api: Api, letter_id: str, redis_client: Redis
) -> None:
    seen = api.get(f"/letters/{letter_id}")
    assert seen["letter"]["code"] == "INVALID_LOGIN"
    assert seen["preview"] | {"sentence": ""} == {
        "version": seen["letter"]["version"],
        "would": "called",
        "sentence": "",
        "wish": "off",
        "event_id": "evt-1",
        "occurred_at": "2020-09-13T12:26:40.000Z",
        "is_already_as_wished": False,
        "wait_ends_at": None,
        "reasons": [],
    }
    assert [item["kind"] for item in seen["timeline"]] == ["letter", "attempt", "event"]
    done = api.act(f"/letters/{letter_id}/replay", version=seen["preview"]["version"], note="card was renewed")
    assert done == {"letter_id": letter_id, "outcome": "replayed", "corrected_to": None, "reasons": []}
    (entry,) = AuditLog(redis_client).entries(target=letter_id)
    assert (entry.by, entry.role, entry.via, entry.why) == ("robot", "operator", "api", "card was renewed")


def test_an_action_on_a_letter_that_changed_is_refused_as_out_of_date(api: Api, letter_id: str) -> None:
    version = api.get(f"/letters/{letter_id}")["preview"]["version"]
    assert api.act(f"/letters/{letter_id}/assign", owner="ann", version=version)["outcome"] == "changed"
    refused = api.try_to(f"/letters/{letter_id}/resolve", note="done", version=version)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"].endswith("Nothing was done.")
    assert api.get(f"/letters/{letter_id}")["letter"]["status"] == "open"


def test_each_verb_of_a_letter_is_done(api: Api, letter_id: str, redis_client: Redis, vault: Vault) -> None:
    until = Views(redis_client).now_ms() / 1000 + 3600
    api.act(f"/letters/{letter_id}/note", note="called the bank")
    api.act(f"/letters/{letter_id}/snooze", until=until)
    assert api.get("/letters")["letters"] == []
    assert [letter["id"] for letter in api.get("/letters", state="snoozed")["letters"]] == [letter_id]
    api.act(f"/letters/{letter_id}/snooze", until=None)
    whole = {"letters": [], "next": None, "is_complete": True, "unreadable": []}
    assert api.get("/letters", size="1") | {"letters": []} == whole
    done = api.act(f"/letters/{letter_id}/correct", login_id=RIGHT_ID, reason="typing error")
    assert (done["outcome"], done["corrected_to"]) == ("corrected", vault.reference(INSTANCE, RIGHT_ID))
    login = api.get(f"/logins/{done['corrected_to']}")["login"]
    assert (login["wish"], login["state"]) == ("off", "waiting")


def test_a_rejected_message_is_corrected_and_resubmitted(api: Api, redis_client: Redis, vault: Vault) -> None:
    letter_id = file_message(redis_client, vault, an_event(time="yesterday"))
    text = api.get(f"/letters/{letter_id}/body")["text"]
    assert LOGIN_ID not in text
    still = api.act(f"/letters/{letter_id}/resubmit", body=text, reason="as it was")
    assert (still["outcome"], [reason["field"] for reason in still["reasons"]]) == ("still_invalid", ["time"])
    body = json.loads(text) | {"time": "2026-11-22T10:00:00Z"}
    done = api.act(f"/letters/{letter_id}/resubmit", body=json.dumps(body), reason="wrong time")
    assert done["outcome"] == "corrected"
    assert api.get(f"/logins/{vault.reference(INSTANCE, LOGIN_ID)}")["login"]["wish"] == "on"


def test_only_an_admin_reveals_a_login_id_and_the_audit_log_has_the_reason(
    redis_client: Redis, vault: Vault, letter_id: str
) -> None:
    assert Api(redis_client, vault).try_to(f"/letters/{letter_id}/reveal", reason="x").status_code == 403
    admin = Api(redis_client, vault, "admin")
    assert admin.act(f"/letters/{letter_id}/reveal", reason="the bank asks") == {"login_id": LOGIN_ID}
    assert [entry["why"] for entry in admin.get("/audit", target=letter_id)] == ["the bank asks"]
    assert admin.get("/audit/verify")["is_intact"] is True
    lines = admin.page.get("/api/v1/audit/export", headers=admin.headers).text.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["letter.reveal", "audit.export"]
    assert LOGIN_ID not in "".join(lines)


def test_a_group_is_acknowledged_muted_assigned_and_reopened(api: Api, letter_id: str, redis_client: Redis) -> None:
    assert letter_id
    api.act("/groups/acknowledge", **GROUP, letters=1)
    assert api.get("/groups")[0]["state"] == "acknowledged"
    api.act("/groups/mute", **GROUP, until=Views(redis_client).now_ms() / 1000 + 3600)
    api.act("/groups/assign", **GROUP, owner="ann")
    assert (api.get("/groups")[0]["state"], api.get("/groups")[0]["owner"]) == ("muted", "ann")
    api.act("/groups/reopen", **GROUP)
    assert api.get("/groups")[0]["state"] == "open"
    assert api.try_to("/groups/acknowledge", **{**GROUP, "code": "NONE"}).status_code == 404


def test_a_bulk_job_is_prepared_run_and_cancelled(api: Api, letter_id: str) -> None:
    prepared = api.act("/bulk", verb="replay", filter={"code": "INVALID_LOGIN"})
    job_id = prepared["job"]["id"]
    assert (prepared["preflight"]["total"], prepared["preflight"]["called"]) == (1, 1)
    assert api.act(f"/bulk/{job_id}/count")["preflight"]["counted_at"] >= prepared["preflight"]["counted_at"]
    started = api.act(f"/bulk/{job_id}/run", rate=2.5)["job"]
    assert (started["status"], started["rate_limit_per_second"]) == ("running", 2.5)
    assert api.try_to(f"/bulk/{job_id}/count").status_code == 409
    assert api.try_to(f"/bulk/{job_id}/run").status_code == 409
    rows = api.get(f"/bulk/{job_id}/results")
    assert ([row["letter"] for row in rows["rows"]], rows["total"], rows["next"]) == ([letter_id], 1, None)
    assert api.act(f"/bulk/{job_id}/cancel")["job"]["status"] == "cancelled"
    assert [job["id"] for job in api.get("/bulk")] == [job_id]
    report = api.page.get(f"/api/v1/bulk/{job_id}/report", headers=api.headers).text
    assert json.loads(report)["outcome"] == "cancelled"


def test_a_gate_is_closed_and_opened(api: Api, letter_id: str) -> None:
    assert letter_id
    assert api.act(f"/gates/{INSTANCE}/close", reason="maintenance")["state"] == "closed"
    assert api.get(f"/gates/{INSTANCE}")["by"] == "robot"
    assert api.act(f"/gates/{INSTANCE}/open", reason="over")["state"] == "open"
    assert api.get("/status")["instances"][INSTANCE]["gate"]["state"] == "open"


def test_a_search_finds_a_login_by_its_login_id(api: Api, letter_id: str, vault: Vault) -> None:
    assert letter_id
    found = api.act("/search", text=LOGIN_ID)["found"]
    assert found == [{"by": "loginId", "login": vault.reference(INSTANCE, LOGIN_ID), "letter": None, "job": None}]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "The body is not valid: note: Field required. Nothing was done."),
        ({"note": 1}, "The body is not valid: note: Input should be a valid string. Nothing was done."),
        (
            {"note": "x", LOGIN_ID: 1},
            "The body is not valid: it has a field that the OpenAPI document does not name. Nothing was done.",
        ),
    ],
)
def test_a_wrong_body_is_refused_with_its_fields_and_without_its_values(
    api: Api, letter_id: str, body: dict[str, Any], detail: str
) -> None:
    refused = api.try_to(f"/letters/{letter_id}/resolve", **body)
    assert (refused.status_code, refused.json()["detail"]) == (400, detail)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b'"text"', b"null"])
def test_a_body_that_is_no_object_is_refused(api: Api, letter_id: str, content: bytes) -> None:
    headers = {**api.headers, "content-type": "application/json"}
    path = f"/api/v1/letters/{letter_id}/resolve"
    refused = api.page.request("POST", path, content=content, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("The body is not valid: ")


def test_a_token_that_is_unknown_opens_nothing_even_beside_a_session(api: Api, letter_id: str) -> None:
    refused = api.page.get(f"/api/v1/letters/{letter_id}", headers={"authorization": "Bearer nightly_wrong"})
    assert (refused.status_code, refused.json()["title"]) == (401, "Unauthorized")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_no_answer_but_a_reveal_holds_a_login_id(redis_client: Redis, vault: Vault, letter_id: str) -> None:
    admin = Api(redis_client, vault, "admin")
    message_id = file_message(redis_client, vault, an_event(time="yesterday"))
    reference = vault.reference(INSTANCE, LOGIN_ID)
    admin.act(f"/letters/{letter_id}/reveal", reason="the bank asks")
    job_id = admin.act("/bulk", verb="replay", ids=[letter_id, message_id])["job"]["id"]
    paths = ("/status", "/groups", "/letters", f"/letters/{letter_id}", f"/letters/{message_id}", "/audit", "/bulk")
    more = (f"/letters/{message_id}/body", f"/logins/{reference}", f"/bulk/{job_id}/results", "/audit/export")
    written = [(path, admin.page.get(f"/api/v1{path}", headers=admin.headers).content) for path in (*paths, *more)]
    assert leaks([LOGIN_ID], written) == []
    assert Letters(redis_client).get(letter_id).status == "open"
