import json
from pathlib import Path

import pytest

from tests.unit.flinks.judging import APPLIED, DEAD, HALT, KEY, LOGIN, THROTTLED, TRANSIENT, error, judge
from worker.flinks.outcome import Outcome
from worker.flinks.protocol import (
    END_USER_CODES,
    HALT_CODES,
    REJECTED_CODES,
    SLOW_TO_CLEAR_CODES,
    TAKEN_ON_CODES,
    TRANSIENT_CODES,
)

SAMPLES = Path(__file__).parents[2] / "samples" / "flinks"

SAMPLE_VERDICTS = {
    "200-activated": (APPLIED, "applied"),
    "200-deactivated": (DEAD, "unexpected_response"),
    "200-another-login": (DEAD, "unexpected_response"),
    "200-other-words": (APPLIED, "unconfirmed"),
    "200-cut-short": (TRANSIENT, "protocol_error"),
    "200-error-inside": (HALT, "ACCESS_DENIED"),
    "200-proxy-page": (TRANSIENT, "protocol_error"),
    "302-moved": (HALT, "http_302"),
    "400-invalid-login": (DEAD, "INVALID_LOGIN"),
    "401-bad-key": (HALT, "http_401"),
    "401-bank-maintenance": (TRANSIENT, "BANK MAINTENANCE_RETRY_LATER"),
    "401-invalid-login": (DEAD, "INVALID_LOGIN"),
    "401-not-authorized-by-the-institution": (DEAD, "UNAUTHORIZED"),
    "401-too-many-requests": (THROTTLED, "TOO_MANY_REQUESTS"),
    "403-concurrent-session": (TRANSIENT, "CONCURRENT_SESSION"),
    "403-firewall-page": (HALT, "http_403"),
    "429-bare": (THROTTLED, "http_429"),
    "502-gateway-page": (TRANSIENT, "http_502"),
    "503-maintenance": (TRANSIENT, "http_503"),
}


def test_every_recorded_response_has_the_expected_verdict() -> None:
    judged = {}
    for path in SAMPLES.glob("*.json"):
        sample = json.loads(path.read_text())
        verdict = judge(sample["status"], sample["body"].encode(), sample["headers"])
        assert LOGIN not in repr(verdict)
        assert verdict.http_status == sample["status"]
        judged[path.stem] = (verdict.outcome, verdict.code)
    assert judged == SAMPLE_VERDICTS


CODES = [
    *((code, DEAD) for code in ("INVALID_LOGIN", "INVALID_REQUEST")),
    ("TOO_MANY_REQUESTS", THROTTLED),
    *((code, TRANSIENT) for code in ("RETRY_LATER", "BANK MAINTENANCE_RETRY_LATER", "BANK_MAINTENANCE_RETRY_LATER")),
    *((code, TRANSIENT) for code in ("CARD_IN_USE", "CONCURRENT_SESSION", "OPERATION_PENDING", "OPERATION_DISPATCHED")),
    *((code, TRANSIENT) for code in ("AGGREGATION_ERROR", "DISABLED_INSTITUTION")),
    *((code, TRANSIENT) for code in ("SESSION_EXPIRED", "SESSION_NONEXISTENT")),
    *((code, DEAD) for code in ("DISABLED_LOGIN", "NEW_ACCOUNT", "INVALID_USERNAME", "INVALID_PASSWORD")),
    *((code, DEAD) for code in ("INVALID_SECURITY_RESPONSE", "INVALID_SECURITY_RESPONSE_NO_RETRY")),
    *((code, DEAD) for code in ("QUESTION_NOT_FOUND", "UNKNOWN_CHALLENGE_KEY", "SECURITYRESPONSES_INCOMPLETE")),
    ("UNAUTHORIZED", DEAD),
    *((code, HALT) for code in ("ACCESS_DENIED", "METHOD_NOT_AVAILABLE")),
]


DOWN = {"200-cut-short", "200-proxy-page", "502-gateway-page", "503-maintenance"}


def test_only_a_response_that_flinks_did_not_write_is_a_sign_of_an_outage() -> None:
    for path in SAMPLES.glob("*.json"):
        sample = json.loads(path.read_text())
        verdict = judge(sample["status"], sample["body"].encode(), sample["headers"])
        assert verdict.is_down == (path.stem in DOWN), path.stem
    assert judge(500, error("SOMETHING_NEW", 500)).is_down
    assert not judge(503, error("AGGREGATION_ERROR", 503)).is_down


@pytest.mark.parametrize(("code", "outcome"), CODES)
@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 422, 500, 503])
def test_a_known_code_decides_whatever_the_status(code: str, outcome: Outcome, status: int) -> None:
    verdict = judge(status, error(code, status))
    assert (verdict.outcome, verdict.code, verdict.flinks_code) == (outcome, code, code)
    assert (verdict.http_status, verdict.is_ambiguous) == (status, code in TAKEN_ON_CODES)
    assert not verdict.is_unreachable


def test_the_table_of_codes_in_this_test_is_complete() -> None:
    known = {*REJECTED_CODES, *TRANSIENT_CODES, *END_USER_CODES, *HALT_CODES, "TOO_MANY_REQUESTS"}
    assert known == {code for code, _ in CODES if not code.endswith("RETRY_LATER")}


@pytest.mark.parametrize("code", sorted(SLOW_TO_CLEAR_CODES))
def test_the_code_of_a_busy_card_is_slow_to_clear(code: str) -> None:
    assert judge(401, error(code)).is_slow_to_clear
    assert not judge(401, error("AGGREGATION_ERROR")).is_slow_to_clear


@pytest.mark.parametrize("code", ["OPERATION_DISPATCHED", "OPERATION_PENDING"])
@pytest.mark.parametrize("status", [202, 401, 429])
def test_a_call_that_flinks_accepted_may_still_take_effect(code: str, status: int) -> None:
    """It counted as never carried out, so the next wish did not wait for it, and the late write undid that wish."""
    assert judge(status, error(code, status)).is_ambiguous


@pytest.mark.parametrize("code", ["CARD_IN_USE", "CONCURRENT_SESSION", "RETRY_LATER"])
def test_a_call_that_flinks_refused_takes_no_effect(code: str) -> None:
    assert not judge(401, error(code)).is_ambiguous


@pytest.mark.parametrize(
    ("status", "bare", "with_an_unknown_code"),
    [
        *((status, (HALT, f"http_{status}"), (HALT, f"http_{status}")) for status in (300, 301, 302, 307, 308, 399)),
        *((status, (HALT, f"http_{status}"), (DEAD, "unknown_code")) for status in (401, 403, 405, 406, 415)),
        (404, (HALT, "http_404"), (HALT, "http_404")),
        *((status, (DEAD, "unknown_code"), (DEAD, "unknown_code")) for status in (400, 402, 409, 410, 413, 422, 499)),
        *((s, (TRANSIENT, f"http_{s}"), (TRANSIENT, f"http_{s}")) for s in (408, 425, 500, 501, 502, 503, 504, 599)),
        (429, (THROTTLED, "http_429"), (THROTTLED, "http_429")),
        *((status, (TRANSIENT, "protocol_error"), (DEAD, "unknown_code")) for status in (-1, 0, 101, 199, 600, 999)),
    ],
)
def test_without_a_known_code_the_status_decides(
    status: int, bare: tuple[Outcome, str], with_an_unknown_code: tuple[Outcome, str]
) -> None:
    for body in (b"", b"<html>no</html>", b"{", b"null", b"[]", error(None), error(" ")):
        verdict = judge(status, body)
        assert (verdict.outcome, verdict.code, verdict.flinks_code) == (*bare, None)
    verdict = judge(status, error("SOMETHING_NEW"))
    assert (verdict.outcome, verdict.code, verdict.flinks_code) == (*with_an_unknown_code, "SOMETHING_NEW")


def test_429_is_throttling_unless_the_login_itself_is_rejected() -> None:
    assert judge(429, error("AGGREGATION_ERROR")).outcome is THROTTLED
    assert judge(429, error("DISABLED_LOGIN")).outcome is THROTTLED
    assert judge(429, error("INVALID_LOGIN")).outcome is DEAD
    assert judge(429, error("TOO_MANY_REQUESTS")).code == "TOO_MANY_REQUESTS"


@pytest.mark.parametrize("status", [502, 504, 524])
def test_a_gateway_error_without_a_flinks_body_is_ambiguous(status: int) -> None:
    assert judge(status, b"<html>").is_ambiguous
    assert not judge(status, error("AGGREGATION_ERROR")).is_ambiguous
    assert not judge(500, b"<html>").is_ambiguous


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("1.5", 1.5),
        ("9" * 400, 3600),
        ("Sun, 22 Nov 2026 10:01:40 GMT", 100),
        ("Sun, 22 Nov 2026 10:01:40 -0000", 100),
        ("Sun, 22 Nov 2099 10:00:00 GMT", 3600),
        ("Sun, 22 Nov 2026 09:59:59 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("Sun, 22 Nov 99999 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_an_invalid_one_is_ignored(value: str, seconds: float | None) -> None:
    assert judge(429, headers={"Retry-After": value}).retry_after_seconds == seconds
    assert judge(503, headers={"retry-after": value}).retry_after_seconds == seconds
    assert judge(401, error("CARD_IN_USE"), {"RETRY-AFTER": value}).retry_after_seconds == seconds
    assert judge(401, headers={"Retry-After": value}).retry_after_seconds is None


def test_a_byte_order_mark_and_broken_utf_8_do_not_hide_the_code() -> None:
    assert judge(400, b"\xef\xbb\xbf" + json.dumps(error("INVALID_LOGIN")).encode()).code == "INVALID_LOGIN"
    assert judge(400, b'{"FlinksCode": "INVALID_LOGIN", "Message": "\xff\xfe"}').code == "INVALID_LOGIN"


def test_a_code_that_could_hold_a_login_is_not_kept() -> None:
    for code in ("lower_case", "A1B2C3D4E5F6A7B8C9", "X" * 65, "NO-HYPHEN"):
        verdict = judge(400, error(code))
        assert (verdict.code, verdict.flinks_code) == ("unknown_code", None)
    assert judge(400, error("NO_SUCH_ACME_LOGIN"), login_id="acme").flinks_code is None
    assert judge(400, error("ACME_RETRY_LATER"), login_id="acme").code == "RETRY_LATER"


@pytest.mark.parametrize("status", [200, 401, 403, 429, 503])
@pytest.mark.parametrize("code", ["ACCESS_DENIED", None])
def test_our_key_in_a_response_is_masked(status: int, code: str | None) -> None:
    verdict = judge(status, error(code, status, f"The key '{KEY.upper()}' is not allowed"))
    assert verdict.message == "The key '***' is not allowed"
