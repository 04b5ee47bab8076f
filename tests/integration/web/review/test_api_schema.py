"""Requests that schemathesis makes from the OpenAPI document, with a token, with a session and with neither."""

import os
import warnings
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from redis import Redis
from schemathesis import GenerationMode

from tests.integration.web.review.letters import LOGIN_ID, an_event, file_login, file_message
from tests.leaks import leaks
from tests.review_page import REVIEW_USERS, Page, browser, review_parts, signed_in
from worker.vault.vault import Vault
from worker.web.review.api.openapi import document
from worker.web.review.tokens import entry_for, new_token

TOKEN = new_token()
A_FEW = settings(
    max_examples=50 if "NIGHTLY_PROVE" in os.environ else 1,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def cases() -> list[Any]:
    """Return one strategy for each operation, of valid and of invalid requests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_dict(document())
        return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize(
    ("way_in", "mode"),
    [
        ("token", GenerationMode.POSITIVE),
        ("token", GenerationMode.NEGATIVE),
        ("session", GenerationMode.NEGATIVE),
        ("nothing", GenerationMode.POSITIVE),
    ],
)
def test_no_request_fails_or_is_answered_with_a_login_id(
    redis_client: Redis, vault: Vault, mode: GenerationMode, way_in: str
) -> None:
    file_login(redis_client, vault)
    file_message(redis_client, vault, an_event(time="yesterday"))
    parts = review_parts(
        redis_client, vault=vault, review_users=REVIEW_USERS, review_tokens=entry_for("robot", "admin", TOKEN)
    )
    page: Page = signed_in(redis_client, "admin", parts=parts) if way_in == "session" else browser(parts)
    more = {"token": {"authorization": f"Bearer {TOKEN}"}, "session": {"x-csrf-token": page.csrf}}.get(way_in, {})
    answers: list[tuple[str, bytes]] = []
    for operation in cases():
        answers += _answers(page, operation, mode, more)
    assert [place for place, _ in answers if place.startswith("5") and not place.startswith("503")] == []
    assert leaks([LOGIN_ID], [(place, text) for place, text in answers if "/reveal" not in place]) == []
    if way_in == "nothing":
        assert {place[:3] for place, _ in answers} <= {"401", "404", "405"}


def _answers(page: Page, operation: Any, mode: GenerationMode, more: dict[str, str]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []

    @given(case=operation.as_strategy(mode))
    @A_FEW
    def send(case: Any) -> None:
        asked = case.as_transport_kwargs(base_url="https://review.test")
        headers = {name: value for name, value in dict(asked["headers"]).items() if name.lower() != "authorization"}
        body = {name: asked[name] for name in ("json", "data", "params") if asked.get(name) is not None}
        if isinstance(body.get("data"), bytes):
            body["content"] = body.pop("data")
        response = page.request(asked["method"], asked["url"], headers=headers | more, **body)
        found.append((f"{response.status_code} {asked['method']} {asked['url']}", response.content))

    send()
    return found
