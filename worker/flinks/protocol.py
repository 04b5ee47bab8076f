"""Builds the request to Flinks and classifies its answer. Classify a new FlinksCode here, in the tables below.

The FlinksCode decides first, because a 401 can mean a bad key, a bad login, too many calls, or a bank that is down. The
HTTP status decides if there is no known code; a 429 outweighs all codes but REJECTED_CODES. Only a 2xx without an error
is APPLIED, marked as unconfirmed if its text does not confirm the call. No text that leaves this module identifies a
login.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote

from worker.config.instances import Instance
from worker.flinks.failures import FailureKind, Progress, verdict_of_failure
from worker.flinks.outcome import Outcome, Verdict
from worker.flinks.redaction import mask
from worker.flinks.response_body import Answer, Confirmation, confirmation_in, read

# The login or the request can never succeed. These codes count even with HTTP 429.
REJECTED_CODES = frozenset({"INVALID_LOGIN", "INVALID_REQUEST"})
# We call too fast. HTTP 429 means the same, whatever else the answer holds.
THROTTLED_CODES = frozenset({"TOO_MANY_REQUESTS"})
# Flinks accepted the call but has not carried it out yet: the write may land at any time.
TAKEN_ON_CODES = frozenset({"OPERATION_DISPATCHED", "OPERATION_PENDING"})
# Flinks is busy with this card for tens of seconds, as it is just after an account was linked. The first two codes
# refuse the call because another operation runs, so no write of ours is in progress.
SLOW_TO_CLEAR_CODES = frozenset({"CARD_IN_USE", "CONCURRENT_SESSION", *TAKEN_ON_CODES})
# Temporary. Every code that ends in RETRY_LATER, with any prefix, is transient too.
TRANSIENT_CODES = frozenset(
    {"AGGREGATION_ERROR", "DISABLED_INSTITUTION", "SESSION_EXPIRED", "SESSION_NONEXISTENT", *SLOW_TO_CLEAR_CODES}
)
RETRY_LATER = "RETRY_LATER"
# Only the end user can fix these. UNAUTHORIZED means that the institution refused this login; ACCESS_DENIED means that
# Flinks refused our key.
END_USER_CODES = frozenset({
    "DISABLED_LOGIN",
    "INVALID_PASSWORD",
    "INVALID_SECURITY_RESPONSE",
    "INVALID_SECURITY_RESPONSE_NO_RETRY",
    "INVALID_USERNAME",
    "NEW_ACCOUNT",
    "QUESTION_NOT_FOUND",
    "SECURITYRESPONSES_INCOMPLETE",
    "UNAUTHORIZED",
    "UNKNOWN_CHALLENGE_KEY",
})  # fmt: skip
# Our key, our address or our contract with Flinks is wrong: no login is to blame.
HALT_CODES = frozenset({"ACCESS_DENIED", "METHOD_NOT_AVAILABLE"})

# The HTTP status decides only if the answer has no known code; any other 4xx is DEAD, `unknown_code`.
# 3xx halts: following a redirect would send the loginId to an address that is not configured.
STATUS_OUTCOMES: Mapping[int, Outcome] = {
    **dict.fromkeys((*range(300, 400), 404), Outcome.HALT),
    **dict.fromkeys((408, 425, *range(500, 600)), Outcome.TRANSIENT),
    429: Outcome.THROTTLED,
}
# These halt only if the answer has no FlinksCode, not even an unknown one.
HALT_STATUSES_WITHOUT_CODE = frozenset({401, 403, 405, 406, 415})
# A gateway gave up on the call, but Flinks may still carry it out: transient, and ambiguous as a timeout is.
GATEWAY_STATUSES = frozenset({502, 504, 524})

MAX_RETRY_AFTER_SECONDS = 3600.0
"""Upper limit of a server's Retry-After: one odd header must not stop an instance for a day."""
_KNOWN_CODES: Mapping[str, Outcome] = {
    **dict.fromkeys(REJECTED_CODES | END_USER_CODES, Outcome.DEAD),
    **dict.fromkeys(THROTTLED_CODES, Outcome.THROTTLED),
    **dict.fromkeys(TRANSIENT_CODES, Outcome.TRANSIENT),
    **dict.fromkeys(HALT_CODES, Outcome.HALT),
}
_AMBIGUOUS_SLUGS = frozenset({"protocol_error", *(f"http_{status}" for status in GATEWAY_STATUSES)})
READ_HEADERS = ("content-encoding", "retry-after")
"""The only headers of an answer that Nightly reads."""
_APPLIED = Verdict(Outcome.APPLIED, "applied", http_status=HTTPStatus.OK.value)
_SHOWABLE_CODE = re.compile(r"[A-Z][A-Z0-9_ ]{0,63}")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class FlinksRequest:
    """One call, ready for any HTTP library. Its repr shows only the method and the URL, which hold no secret."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


def build_request(instance: Instance, login_id: str, wants_active: bool) -> FlinksRequest:  # noqa: FBT001 - the wish
    """Return the PATCH that sets the flag. Both fields are always sent: Flinks reads a missing flag as false."""
    key = instance.auth_key.get_secret_value()
    return FlinksRequest(
        method="PATCH",
        url=f"{instance.base_url}/v3/{quote(instance.customer_id, safe='')}/BankingServices/SetScheduledRefresh",
        headers={
            instance.auth_header: f"{instance.auth_scheme} {key}" if instance.auth_scheme else key,
            "content-type": "application/json",
            "accept": "application/json",
        },
        content=content_of(login_id, wants_active),
    )


def content_of(login_id: str, wants_active: bool) -> bytes:  # noqa: FBT001 - the wish
    """Return the body of the PATCH, the only part that differs from call to call."""
    flag = "true" if wants_active else "false"  # json takes four times as long for an object as for its string
    return f'{{"loginId": {json.dumps(login_id)}, "isActivated": {flag}}}'.encode()


def decipher(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    login_id: str,
    auth_key: str,
    wants_active: bool,
    now: datetime,
) -> Verdict:
    """Return the verdict of one answer, whatever its bytes are; never raises.

    Reads only the first 64 KiB of `body` and the headers in READ_HEADERS. `now` (UTC-aware) is the reference for a
    Retry-After date. `auth_key` is masked like the loginId, because a refusal may repeat it. A 2xx that carries an
    error, in FlinksCode or HttpStatusCode, is classified as that error.
    """
    # The usual answer. The code below returns the same; this saves 5 us of CPU a call (docs/performance.md).
    if status == HTTPStatus.OK and not headers and body == _confirmation(login_id, wants_active=wants_active):
        return _APPLIED
    lowered = {name.lower(): value for name, value in headers.items()}
    answer = read(body, lowered.get("content-encoding", ""))
    is_success = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    if is_success and not answer.code and answer.status < HTTPStatus.BAD_REQUEST:
        return _judge_success(status, answer, login_id, auth_key, wants_active=wants_active)
    outcome, code = _classify(answer.code, max(status, answer.status) if is_success else status)
    flinks_code = _showable(answer.code, login_id, auth_key)
    may_wait = outcome in {Outcome.TRANSIENT, Outcome.THROTTLED}
    return Verdict(
        outcome,
        flinks_code if code == RETRY_LATER and flinks_code else code,
        http_status=status,
        flinks_code=flinks_code,
        message=mask(answer.text, login_id, auth_key),
        retry_after_seconds=_retry_after_seconds(lowered.get("retry-after", ""), now) if may_wait else None,
        is_ambiguous=code in _AMBIGUOUS_SLUGS or answer.code in TAKEN_ON_CODES,
        is_down=outcome is Outcome.TRANSIENT and code != RETRY_LATER and code not in _KNOWN_CODES,
        is_slow_to_clear=code in SLOW_TO_CLEAR_CODES,
    )


def _confirmation(login_id: str, *, wants_active: bool) -> bytes:
    """Return the body with which Flinks confirms a call."""
    state = "activated" if wants_active else "deactivated"
    return json.dumps(f"LoginId {login_id} has now been {state} for automatic refresh").encode()


def _judge_success(status: int, answer: Answer, login_id: str, auth_key: str, *, wants_active: bool) -> Verdict:
    if not answer.is_readable:
        # A proxy's page or a truncated confirmation is neither success nor error. Repeating the call is harmless.
        return replace(verdict_of_failure(FailureKind.PROTOCOL, Progress.ANSWERED), http_status=status)
    claim = confirmation_in(answer.text, login_id, wants_active=wants_active)
    if claim is Confirmation.CONFIRMED:
        return replace(_APPLIED, http_status=status)
    message = mask(answer.text, login_id, auth_key)
    if claim is Confirmation.CONTRADICTED:
        return Verdict(Outcome.DEAD, "unexpected_response", http_status=status, message=message)
    return Verdict(Outcome.APPLIED, "unconfirmed", http_status=status, message=message, is_confirmed=False)


def _classify(code: str, status: int) -> tuple[Outcome, str]:
    """Return the outcome and the verdict's code: FlinksCode first, HTTP status second."""
    if status == HTTPStatus.TOO_MANY_REQUESTS and code not in REJECTED_CODES | THROTTLED_CODES:
        return Outcome.THROTTLED, "http_429"
    if code in _KNOWN_CODES:
        return _KNOWN_CODES[code], code
    if code.endswith(RETRY_LATER):
        return Outcome.TRANSIENT, RETRY_LATER
    if not code and status in HALT_STATUSES_WITHOUT_CODE:
        return Outcome.HALT, f"http_{status}"
    if status in STATUS_OUTCOMES:
        return STATUS_OUTCOMES[status], f"http_{status}"
    is_refusal = code or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return (Outcome.DEAD, "unknown_code") if is_refusal else (Outcome.TRANSIENT, "protocol_error")


def _showable(code: str, *secrets: str) -> str | None:
    """Return the code if it looks like a FlinksCode and holds no secret and nothing that may identify a login."""
    return code if _SHOWABLE_CODE.fullmatch(code) and mask(code, *secrets) == code else None


def _retry_after_seconds(value: str, now: datetime) -> float | None:
    """Return a Retry-After header (seconds or HTTP-date) as seconds from `now`, at most 3600; None if malformed."""
    if _SECONDS.fullmatch(value.strip()):
        seconds = float(value)
    else:
        try:
            at = parsedate_to_datetime(value)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds >= 0 else None
