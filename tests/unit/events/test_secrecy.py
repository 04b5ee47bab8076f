"""No reason and no representation repeats the input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.events.reading import ARGUMENTS, CANARY, TIME, cloudevent, read
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.events.models import CeleryArguments, LoginData


def test_no_representation_shows_the_login() -> None:
    shown = [
        read({**ARGUMENTS, "login_id": CANARY}),
        CeleryArguments.model_validate({**ARGUMENTS, "login_id": CANARY}),
        LoginData.model_validate({"loginId": CANARY}),
    ]
    assert CANARY not in repr(shown)


def test_neither_the_message_nor_its_cause_shows_the_login() -> None:
    with pytest.raises(InvalidEvent) as caught:
        read({**ARGUMENTS, "login_id": CANARY + "\n"})
    assert CANARY not in f"{caught.value!s} {caught.value!r} {caught.value.__context__!s}"
    assert caught.value.__suppress_context__


_BAD = st.sampled_from([CANARY, f"{CANARY}\n", f" {CANARY}", CANARY * 40, {CANARY: CANARY}, [CANARY], CANARY.encode()])
_VALUES = st.one_of(_BAD, st.sampled_from([None, 7, True, "2026-11-22", TIME, f"{TIME}{CANARY}", "x"]))


@given(
    st.dictionaries(st.sampled_from([*ARGUMENTS, "account_id", "instance", CANARY, CANARY.swapcase()]), _VALUES),
    st.dictionaries(st.sampled_from([*cloudevent(), "subject", "datacontenttype", CANARY]), _VALUES),
    st.dictionaries(st.sampled_from(["loginId", "instance", CANARY]), _VALUES),
)
def test_no_reason_repeats_the_input(
    arguments: dict[str, object], attributes: dict[str, object], data: dict[str, object]
) -> None:
    documents = [attributes, cloudevent(**attributes), cloudevent(data=data), [attributes], CANARY]
    reasons = []
    for take_in in (
        lambda: read(arguments),
        lambda: read(ARGUMENTS | arguments),
        *(lambda document=document: LifecycleEvent.from_cloudevent(document, "toolbox") for document in documents),
    ):
        try:
            take_in()
        except InvalidEvent as error:
            reasons.append(str(error))

    assert reasons, "a list and a bare text are never events"
    assert CANARY.lower() not in " ".join(reasons).lower()
