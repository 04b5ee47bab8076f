"""The time to read foreign text grows linearly with its length, for every kind of text."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tests.integration.growth import families, growths
from worker.backfill.file_columns import shown
from worker.backfill.from_ledger import Condition
from worker.errors import BackfillError
from worker.flinks.protocol import decipher
from worker.flinks.redaction import mask
from worker.flinks.response_body import confirmation_in, read
from worker.telemetry.foreign import describe_foreign
from worker.telemetry.scrub import scrub_quotes, scrub_text, scrub_value
from worker.telemetry.tracebacks import describe_exception
from worker.vault.spellings import Spellings, holds_guid
from worker.vault.tokens import looks_like_token
from worker.web.webhook.cloudevents import decode_value

LOGIN, KEY = "bb8b8569-3bfc-43c1-ae31-08d6decf1675", "a key of ours 123"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def deciphered(status: int, body: str, headers: Mapping[str, str] | None = None, login: str = LOGIN) -> object:
    return decipher(
        status, headers or {}, body.encode(), login_id=login, auth_key=KEY, wants_active=True, now=NOW
    )  # fmt: skip


def condition(text: str) -> None:
    for one in (f"account={text}", text):
        with suppress(BackfillError):
            Condition.read(one)


def header(text: str) -> None:
    for value in (text[:16_384], f'"{text[:16_384]}"'):  # no head of a request is longer
        with suppress(ValueError):
            decode_value(value)


ANSWERS: Mapping[str, Callable[[str], object]] = {
    "a confirmation": lambda text: deciphered(200, json.dumps(text)),
    "bare prose": lambda text: deciphered(200, text),
    "prose for a login of one letter": lambda text: deciphered(200, text, login="a"),
    "prose for a login of quotes": lambda text: confirmation_in(text, "''", wants_active=True),
    "an error's message": lambda text: deciphered(400, json.dumps({"FlinksCode": "X", "Message": text})),
    "an error's code": lambda text: deciphered(400, json.dumps({"FlinksCode": text, "HttpStatusCode": text})),
    "headers": lambda text: deciphered(503, "", {"retry-after": text, "content-encoding": text}),
    "a date in a header": lambda text: deciphered(503, "", {"retry-after": f"Mon, {text} Jan 2026 10:00:00 GMT"}),
    "an unfinished object": lambda text: read(b'{"Message": ' + text.encode()),
    "mask": lambda text: mask(text, LOGIN, KEY),
    "mask of a short login": lambda text: mask(text, "maple", KEY),
    "mask of a login beyond ASCII": lambda text: mask(text, "m\u00e4ple", KEY),
}
TELEMETRY: Mapping[str, Callable[[str], object]] = {
    "a text": scrub_text,
    "a text without limit": lambda text: scrub_text(text, limit=10**9),
    "an error's text": scrub_quotes,
    "an exception": lambda text: describe_exception(ValueError(text)),
    "a field": lambda text: scrub_value({text: [text, ValueError(text)]}),
    "a library's line": lambda text: describe_foreign("kombu", text, ()),
    "a library's arguments": lambda text: describe_foreign("kombu", "%s %r", (text, ValueError(text))),
}
INPUT: Mapping[str, Callable[[str], object]] = {
    "a login's spellings": lambda text: Spellings(LOGIN).are_in(text),
    "a short login's spellings": lambda text: Spellings("maple").are_in(text),
    "a GUID": holds_guid,
    "a token": lambda text: looks_like_token(f"{text}aB"),
    "a condition": condition,
    "a column": lambda text: shown([text[:30]] * 9),
    "a header": header,
}


@pytest.mark.parametrize("work", ANSWERS.values(), ids=ANSWERS)
def test_the_time_for_a_flinks_response_grows_linearly_with_its_length(work: Callable[[str], object]) -> None:
    assert growths(work, families()) == []


@pytest.mark.parametrize("work", TELEMETRY.values(), ids=TELEMETRY)
def test_the_time_for_a_log_line_grows_linearly_with_its_length(work: Callable[[str], object]) -> None:
    assert growths(work, families()) == []


@pytest.mark.parametrize("work", INPUT.values(), ids=INPUT)
def test_the_time_for_an_input_grows_linearly_with_its_length(work: Callable[[str], object]) -> None:
    assert growths(work, families()) == []
