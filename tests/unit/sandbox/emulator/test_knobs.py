import json
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from sandbox.emulator.effects import Asked, Effect, Ending, Situation
from sandbox.emulator.error_table import ERRORS, ErrorName
from sandbox.emulator.knobs import KNOBS, AnyFault
from sandbox.emulator.replies import confirmation

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
ANY_FAULT: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)


def struck(wall_seconds: float = 0, **fault: Any) -> Effect:
    honest = Effect(confirmation(LOGIN, is_activated=True), commits=True)
    asked = Asked("customer", LOGIN, wish=True, wall_seconds=wall_seconds)
    return ANY_FAULT.validate_python(fault).distort(Situation(honest, asked, Random(0)))


def test_every_fault_of_the_long_tests_has_a_knob() -> None:
    assert set(KNOBS) == {
        *get_args(ErrorName),
        *("html_502", "html_403", "rate_limited", "wrong_login", "opposite_state", "unconfirmed"),
        *("truncated_json", "truncated_http", "slow_body", "latency", "reset", "outage", "redirect"),
        *("commit_then_timeout", "timeout_then_commit_late"),
    }


def test_every_error_knob_is_in_the_table() -> None:
    assert set(ERRORS) == set(get_args(ErrorName))


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"knob": "retry_later"}, 401, "RETRY_LATER"),
        ({"knob": "too_many_requests"}, 401, "TOO_MANY_REQUESTS"),
        ({"knob": "invalid_login"}, 400, "INVALID_LOGIN"),
        ({"knob": "invalid_login", "status": 401}, 401, "INVALID_LOGIN"),
        ({"knob": "bad_key", "status": 403}, 403, "ACCESS_DENIED"),
        ({"knob": "unauthorized"}, 401, "UNAUTHORIZED"),
        ({"knob": "operation_pending"}, 202, "OPERATION_PENDING"),
        ({"knob": "flinks_error", "status": 403, "code": "DISABLED_LOGIN"}, 403, "DISABLED_LOGIN"),
    ],
)
def test_an_error_knob_answers_with_its_status_and_code(fault: dict[str, Any], status: int, code: str) -> None:
    effect = struck(**fault)
    body = json.loads(effect.reply.body)
    assert (effect.reply.status, body["HttpStatusCode"], body["FlinksCode"]) == (status, status, code)
    assert not effect.commits


def test_an_error_in_a_200_says_so_only_in_its_body() -> None:
    reply = struck(knob="error_in_200").reply
    assert (reply.status, json.loads(reply.body)["HttpStatusCode"]) == (200, 500)


def test_an_empty_code_leaves_the_body_empty() -> None:
    assert struck(knob="bad_key", status=403, code="").reply.body == b""


def test_retry_after_is_in_seconds_a_date_or_absent() -> None:
    assert struck(knob="rate_limited", seconds=7).reply.headers == ((b"retry-after", b"7"),)
    ((_, date),) = struck(knob="rate_limited", retry_after="http_date", seconds=7, wall_seconds=1000).reply.headers
    assert parsedate_to_datetime(date.decode()).timestamp() == 1007
    assert struck(knob="rate_limited", retry_after="none").reply.headers == ()


def test_false_confirmations_name_another_login_or_state() -> None:
    assert LOGIN not in json.loads(struck(knob="wrong_login").reply.body)
    assert json.loads(struck(knob="opposite_state").reply.body).startswith(f"LoginId {LOGIN} has now been deactivated")


def test_truncated_json_is_invalid_and_truncated_http_cuts_the_connection() -> None:
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(struck(knob="truncated_json").reply.body)
    assert struck(knob="truncated_http").ending is Ending.CUT


def test_an_outage_answers_503_or_closes() -> None:
    assert struck(knob="outage").reply.status == 503
    assert struck(knob="outage", mode="refuse").ending is Ending.CLOSE


@pytest.mark.parametrize(
    "fault",
    [
        {"knob": "no_such_knob"},
        {"knob": "latency"},
        {"knob": "reset", "surprise": 1},
        {"knob": "server_error", "probability": 1.5},
        {"knob": "server_error", "status": 204},
        {"knob": "commit_then_timeout", "late_ms": 5},
        {"knob": "server_error", "times": 0},
    ],
)
def test_a_wrong_fault_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ANY_FAULT.validate_python(fault)
