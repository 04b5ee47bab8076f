"""What is taken at a glance the contract takes too, and reads alike."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from worker.events.models import CeleryArguments, CloudEvent
from worker.events.plain_events import plain_arguments, plain_cloudevent

SEALED = f"0123abcd.{'A' * 112}"
TIME = "2026-11-22T10:00:00Z"
ARGUMENTS = {"login_id": "login-1", "occurred_at": TIME, "event_id": "evt-1"}
EVENT = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": TIME}

_TEXTS = st.one_of(
    st.text(max_size=5),
    st.text(st.characters(max_codepoint=127), max_size=4),
    st.sampled_from(
        ["x" * 256, "x" * 257, "a b", " a", "a ", "a\n", "\u0661", "\ud800", "é", "1.0", SEALED, f"{SEALED}\n"]
    ),
)
_DIGITS = st.integers(0, 99).map("{:02}".format)
_TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.builds("{}-{}-{}T{}:{}:{}{}{}".format,
              st.sampled_from(["1969", "1970", "2026", "2254", "2255", "0001", "9999", "٢٠٢٦"]),
              _DIGITS, _DIGITS, _DIGITS, _DIGITS, _DIGITS,
              st.sampled_from(["", ".", ".1", ".123456", ".1234567", ",5"]),
              st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+14:00", "-23:59", "+24:00", "+00:60", "+0530"])),
    st.sampled_from([TIME, TIME.lower(), TIME.replace("T", " "), TIME + "\n", "2026-11-22", "20261122T100000Z"]),
)  # fmt: skip
_VALUES = st.one_of(_TEXTS, _TIMES, st.sampled_from([None, 1, True, 1.0, b"x", [], {}, ["x"], {"loginId": "x"}]))


@given(
    st.dictionaries(st.sampled_from([*ARGUMENTS, "sealed_login_id", "account_id", "instance", "else"]), _VALUES), _TIMES
)
@example({}, "2254-12-31T00:00:00.000001Z")
@example({}, "1970-01-01T00:59:59+01:00")
@example({}, "0001-01-01T00:00:00+23:59")
def test_of_arguments(changes: dict[str, Any], time: str) -> None:
    sealed = {"occurred_at": time, "event_id": "evt-1", "sealed_login_id": SEALED} | changes
    for arguments in (ARGUMENTS | {"occurred_at": time}, ARGUMENTS | changes, changes, sealed):
        if (plain := plain_arguments(arguments)) is not None:
            assert CeleryArguments.model_validate(arguments).model_dump(exclude_unset=True) == plain


@given(
    st.dictionaries(st.sampled_from([*EVENT, "subject", "datacontenttype", "data", "else"]), _VALUES),
    st.one_of(_VALUES, st.dictionaries(st.sampled_from(["loginId", "sealedLoginId", "instance", "else"]), _VALUES)),
    _TIMES,
)
def test_of_cloudevents(changes: dict[str, Any], data: object, time: str) -> None:
    good = EVENT | {"data": {"loginId": "login-1"}}
    for document in (good | {"time": time}, good | changes, good | {"data": data}, changes, data):
        if (plain := plain_cloudevent(document)) is not None:
            assert CloudEvent.model_validate(document).model_dump(by_alias=True, exclude_unset=True) == plain


def test_what_nearly_all_events_look_like_is_taken() -> None:
    for time in (TIME, "2026-11-22T10:00:00.123Z", "2026-11-22 10:00:00.123456+02:00"):
        assert plain_arguments(ARGUMENTS | {"occurred_at": time, "account_id": "cust 42", "instance": None})
        assert plain_cloudevent(EVENT | {"time": time, "data": {"loginId": "5e115eab-0000"}, "traceparent": [1]})
        assert plain_cloudevent(EVENT | {"time": time, "data": {"sealedLoginId": SEALED, "instance": "acme"}})
