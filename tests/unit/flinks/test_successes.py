"""The possible meanings of a 2xx, which may not be a success."""

import json

import pytest

from tests.unit.flinks.judging import APPLIED, DEAD, HALT, LOGIN, THROTTLED, TRANSIENT, error, judge
from worker.flinks.outcome import Outcome, Verdict


@pytest.mark.parametrize("wants_active", [True, False])
@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_confirmation_of_this_wish_is_applied(status: int, wants_active: bool) -> None:  # noqa: FBT001 - a parameter
    state = "activated" if wants_active else "deactivated"
    text = f"LoginId {LOGIN.upper()} has now been {state} for automatic refresh"
    assert judge(status, text, wants_active=wants_active) == Verdict(APPLIED, "applied", http_status=status)
    opposite = judge(status, text, wants_active=not wants_active)
    assert (opposite.outcome, opposite.code) == (DEAD, "unexpected_response")


@pytest.mark.parametrize("body", [b"", b"null", b"true", b"204", b'""', b"{}", b"done", {"Message": "Saved"}])
def test_a_success_without_confirmation_is_applied_but_unconfirmed(body: object) -> None:
    verdict = judge(200, body)
    assert (verdict.outcome, verdict.code, verdict.is_confirmed) == (APPLIED, "unconfirmed", False)


@pytest.mark.parametrize(
    ("body", "outcome", "code"),
    [
        (error("INVALID_LOGIN", 200), DEAD, "INVALID_LOGIN"),
        (error(None, 401), HALT, "http_401"),
        (error(None, "503"), TRANSIENT, "http_503"),
        (error(None, 400.0), DEAD, "unknown_code"),
        (error("SOMETHING_NEW", 200), DEAD, "unknown_code"),
        (error(None, 429), THROTTLED, "http_429"),
        ({"httpStatusCode": 401, "flinksCode": "CARD_IN_USE"}, TRANSIENT, "CARD_IN_USE"),
        (json.dumps(error("INVALID_LOGIN")), DEAD, "INVALID_LOGIN"),
    ],
)
def test_a_success_with_an_error_code_counts_as_that_error(body: object, outcome: Outcome, code: str) -> None:
    verdict = judge(200, body)
    assert (verdict.outcome, verdict.code, verdict.http_status) == (outcome, code, 200)


@pytest.mark.parametrize(
    "body",
    [
        b'"LoginId bb8b8569-3bfc-43c1-ae31-08d6decf1675 has now been activated',
        b'{"HttpStatusCode": 200, "Mess',
        b"  <html>sign in</html>",
        b"[" * 60_000,
        b"[]",
        b'"' + b"x" * 70_000 + b'"',
        b"\x1f\x8b\x08\x00\xff\xfe",
        error(7, 200),
        error(None, "high"),
        error(None, 40_000),
    ],
    ids=repr,
)
def test_an_unreadable_success_is_sent_again(body: object) -> None:
    verdict = judge(200, body)
    assert (verdict.outcome, verdict.code, verdict.is_ambiguous) == (TRANSIENT, "protocol_error", True)


def test_a_body_in_an_encoding_that_was_not_requested_is_not_read() -> None:
    text = json.dumps(f"LoginId {LOGIN} has now been activated for automatic refresh").encode()
    assert judge(200, text, {"Content-Encoding": "br"}).code == "protocol_error"
    assert judge(200, text, {"Content-Encoding": "Identity"}).code == "applied"
