"""The published schemas and the worker agree on every document, except for two rules that no schema can express.

The schemas describe both: a character that only Unicode's tables refuse, and a time that only a calendar refuses. A
schema never refuses what the worker accepts.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from docs.generator.schemas import documents
from worker.errors import InvalidEvent
from worker.events.contract import MAX_BATCH_EVENTS, LifecycleEvent, decode_documents
from worker.events.models import EPOCH, LATEST, RFC3339, SEALED, TEXT, TIME

NOON = "2026-11-22T12:00:00Z"
ARGUMENTS = {"login_id": "login-1", "occurred_at": NOON}
DATA = {"loginId": "login-1"}
EVENT = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": NOON, "data": DATA}
SCHEMAS = {name.split(".")[0]: Draft7Validator(schema) for name, schema in documents().items()}


def schema_takes(name: str, document: object) -> bool:
    return bool(SCHEMAS[name].is_valid(document))


def worker_takes_arguments(kwargs: Mapping[str, Any]) -> bool:
    """As intake does, which uses the task id if there is no event id."""
    event_id = kwargs.get("event_id")
    arguments = {**kwargs, "event_id": "task-id" if event_id is None else event_id}
    try:
        LifecycleEvent.from_celery("account.linked", arguments, "toolbox")
    except InvalidEvent:
        return False
    return True


def worker_takes_body(document: object) -> bool:
    """Return whether all of a stream entry is accepted."""
    try:
        for event in decode_documents(json.dumps(document).encode()):
            LifecycleEvent.from_cloudevent(event, "toolbox")
    except InvalidEvent:
        return False
    return True


def only_unicode_refuses(text: object) -> bool:
    return isinstance(text, str) and any(
        not character.isprintable() and (ord(character) > 0xFFFF or unicodedata.category(character) == "Cn")
        for character in text
    )


def only_a_calendar_refuses(time: object) -> bool:
    if not isinstance(time, str):
        return False
    try:
        return not EPOCH <= datetime.fromisoformat(time.upper()) <= LATEST
    except ValueError:
        return True
    except TypeError:  # no zone: the schema refuses it too
        return False


def no_schema_could_refuse(document: Mapping[str, Any]) -> bool:
    """Check the fields of an event in either form."""
    data = document.get("data")
    inner = data if isinstance(data, dict) else {}
    texts = [document.get(name) for name in ("login_id", "event_id", "account_id", "id", "source", "subject")]
    texts += [inner.get("loginId"), inner.get("instance"), document.get("instance") if not inner else None]
    return any(map(only_unicode_refuses, texts)) or any(
        map(only_a_calendar_refuses, (document[name] for name in ("occurred_at", "time") if name in document))
    )


_zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["x" * 256, "x" * 257, "é" * 256, "", " ", " x", "x ", "x\n", "a b", "\ud800", "\u00a0", "\U0001f600"]
    ),
    st.characters().map("x{}y".format),
)
_times = st.one_of(
    st.from_regex(TIME["pattern"]),
    st.from_regex(RFC3339, fullmatch=True),
    st.datetimes(timezones=_zones).map(datetime.isoformat),
    st.datetimes(datetime(1969, 12, 30), datetime(1970, 1, 3), timezones=_zones).map(datetime.isoformat),  # noqa: DTZ001
    st.datetimes(datetime(2254, 12, 29), datetime(2255, 1, 2), timezones=_zones).map(datetime.isoformat),  # noqa: DTZ001
    st.sampled_from([f"{NOON}\n", NOON.lower(), NOON[:-1], "2026-02-29T00:00:00Z", "٢٠٢٦-11-22T10:00:00Z"]),
)
_others = st.one_of(st.none(), st.booleans(), st.integers(), st.just([]), st.just({}), st.just("1.0"))


def _fields(required: Mapping[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Any:
    """Mostly valid: a field or two are any text, any time, something else, missing, or one too many."""
    good = st.fixed_dictionaries(dict(required), optional=optional)
    spoilt = st.dictionaries(st.sampled_from([*required, *optional, "loginID", "extra"]), _others | _texts, max_size=1)
    missing = st.sampled_from([None, None, None, *required])
    return st.tuples(good, st.just({}) | spoilt, missing).map(
        lambda parts: {name: value for name, value in (parts[0] | parts[1]).items() if name != parts[2]}
    )


_maybe = st.none() | _texts
_sealed = st.from_regex(re.compile(SEALED, re.ASCII), fullmatch=True) | _texts
_arguments = _fields(
    {"login_id": _texts, "occurred_at": _times}, event_id=_maybe, account_id=_maybe, instance=_maybe
) | _fields({name: st.just(value) for name, value in ARGUMENTS.items()}, event_id=_maybe, account_id=_maybe)
_arguments |= _fields({"occurred_at": st.just(NOON)}, login_id=_texts, sealed_login_id=_sealed)
_data = st.just(DATA) | _fields({"loginId": _texts}, instance=_maybe)
_data |= _fields({}, loginId=_texts, sealedLoginId=_sealed)
_events = st.one_of(
    _fields({name: st.just(value) for name, value in EVENT.items()} | {"data": _data}, subject=_maybe),
    _fields(
        {name: st.just(value) for name, value in EVENT.items()} | {"id": _texts, "source": _texts, "time": _times},
        datacontenttype=st.sampled_from([None, "application/json", "text/plain"]),
    ),
)


@given(_arguments)
@example(ARGUMENTS)
def test_schema_and_worker_agree_on_a_celery_messages_arguments(kwargs: dict[str, Any]) -> None:
    expected = schema_takes("celery-arguments", kwargs) and not no_schema_could_refuse(kwargs)
    assert worker_takes_arguments(kwargs) is expected


@given(_events)
@example(EVENT)
def test_schema_and_worker_agree_on_a_cloudevent(event: dict[str, Any]) -> None:
    expected = schema_takes("cloudevent", event) and not no_schema_could_refuse(event)
    assert worker_takes_body(event) is expected


@given(st.lists(_events | _others, max_size=3))
@example([EVENT])
def test_schema_and_worker_agree_on_a_batch(batch: list[Any]) -> None:
    odd = any(isinstance(event, dict) and no_schema_could_refuse(event) for event in batch)
    assert worker_takes_body(batch) is (schema_takes("batch", batch) and not odd)


def test_schema_and_worker_count_the_events_of_a_batch_alike() -> None:
    assert SCHEMAS["batch"].schema["minItems"] == 1
    assert SCHEMAS["batch"].schema["maxItems"] == MAX_BATCH_EVENTS
    assert not worker_takes_body([])
    assert not worker_takes_body([EVENT] * (MAX_BATCH_EVENTS + 1))


def test_of_the_first_65536_characters_the_schema_wrongly_accepts_only_unassigned_ones() -> None:
    is_refused = re.compile(TEXT["not"]["pattern"]).match
    for character in map(chr, range(0x10000)):
        if unicodedata.category(character) != "Cn":
            assert bool(is_refused(character)) is not character.isprintable(), hex(ord(character))


@pytest.mark.parametrize(
    "change",
    [
        {"login_id": "x\U000e0001"},
        {"login_id": "x\uffff"},
        {"occurred_at": "2026-02-30T00:00:00Z"},
        {"occurred_at": "1969-12-31T23:59:59Z"},
        {"occurred_at": "2254-12-31T00:00:00.000001Z"},
    ],
)
def test_each_listed_difference_between_schema_and_worker_exists(change: dict[str, str]) -> None:
    document = ARGUMENTS | change
    assert schema_takes("celery-arguments", document)
    assert not worker_takes_arguments(document)
    assert no_schema_could_refuse(document)
