"""Any bytes get a verdict, without a login in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.flinks.judging import APPLIED, KEY, NOW
from worker.flinks.protocol import END_USER_CODES, HALT_CODES, REJECTED_CODES, TRANSIENT_CODES, decipher

LOGINS = st.uuids().map(str) | st.from_regex(r"[a-z0-9][a-z0-9+/=. _-]{6,40}[0-9]", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
PROSE = st.sampled_from([
    "{}", "LoginId {} has now been activated for automatic refresh", "LoginId {} is invalid", "x{}x", "a\u200b{}\x00b"
])  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, int, dict[str, str], bytes]:
    login = draw(LOGINS)
    prose = draw(PROSE).format(draw(st.sampled_from([login, login.upper(), login[:3] + "\u200b" + login[3:], "it"])))
    known = st.sampled_from(sorted(REJECTED_CODES | TRANSIENT_CODES | END_USER_CODES | HALT_CODES))
    envelope = st.fixed_dictionaries({
        "HttpStatusCode": st.integers(0, 999) | JSON,
        "Message": st.just(prose) | JSON,
        "FlinksCode": known | st.just(prose) | JSON,
    })  # fmt: skip
    shaped = (st.just(prose) | envelope | JSON).map(lambda document: json.dumps(document).encode())
    body = draw(
        shaped | shaped.map(lambda raw: raw[: len(raw) // 2]) | st.just(prose.encode()) | st.binary(max_size=99)
    )
    status = draw(st.sampled_from([200, 204, 302, 400, 401, 403, 429, 503]) | st.integers(-5, 1100))
    return login, status, draw(st.dictionaries(st.sampled_from(["Retry-After", "X"]), st.text(max_size=30))), body


@given(answers(), st.booleans())
def test_any_response_gets_a_verdict_without_the_login(
    answer: tuple[str, int, dict[str, str], bytes],
    wants_active: bool,  # noqa: FBT001 - a parameter
) -> None:
    login, status, headers, body = answer
    verdict = decipher(status, headers, body, login_id=login, auth_key=KEY, wants_active=wants_active, now=NOW)
    assert login.lower() not in f"{verdict.message} {verdict.code} {verdict.flinks_code}".lower()
    assert len(verdict.message) <= 200
    assert verdict.message.isprintable()
    if verdict.outcome is APPLIED:
        assert 200 <= status < 300
        assert verdict.is_confirmed == (verdict.code == "applied")
    if verdict.retry_after_seconds is not None:
        assert 0 <= verdict.retry_after_seconds <= 3600


@given(
    login=LOGINS | st.text(st.sampled_from('aZ0.-_"\\ \u00e9'), min_size=1),
    wants_active=st.booleans(),
    said=st.booleans(),
)
def test_the_fast_path_for_a_confirmation_gives_the_same_verdict_as_the_full_one(
    login: str, *, wants_active: bool, said: bool
) -> None:
    body = f'"LoginId {login} has now been {"" if said else "de"}activated for automatic refresh"'.encode()
    short, long = (
        decipher(200, headers, body, login_id=login, auth_key=KEY, wants_active=wants_active, now=NOW)
        for headers in ({}, {"retry-after": "1"})
    )
    assert short == long


@pytest.mark.parametrize("value", ["[" * 60_000, '{"a":' * 10_000, "9" * 60_000, "9" * 4_000, "[" * 400 + "]" * 400])
def test_endless_numbers_and_brackets_get_a_verdict_like_any_response(value: str) -> None:
    for body in (value, f'{{"HttpStatusCode": {value}}}', f'{{"HttpStatusCode": "{value}", "Message": {value}}}'):
        assert decipher(400, {}, body.encode(), login_id="acme-7", auth_key=KEY, wants_active=True, now=NOW).code
