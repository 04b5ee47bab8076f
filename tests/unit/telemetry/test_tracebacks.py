"""The description of an exception."""

import pytest
from billiard.einfo import ExceptionInfo

from worker.telemetry.tracebacks import MAX_EXCEPTIONS, MAX_FRAMES, describe_exception

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"


def _fail(login: str) -> None:
    raise KeyError(login)


def _caught(login: str) -> Exception:
    try:
        _fail(login)
    except KeyError as error:
        return error
    pytest.fail("_fail did not raise")


def test_type_message_and_places_are_shown_without_variables() -> None:
    described = describe_exception(_caught("maple"))
    assert [(error["type"], error["message"]) for error in described] == [("KeyError", "[masked]")]
    assert str(described[0]["frames"]).count(__file__) == 2
    assert "maple" not in str(described)


def test_causes_contexts_and_members_of_groups_follow() -> None:
    cause = _caught("maple")
    error = ExceptionGroup("two", [ValueError("one"), TypeError("other")])
    error.__cause__ = cause
    assert [each["type"] for each in describe_exception(error)] == [
        "ExceptionGroup",
        "ValueError",
        "TypeError",
        "KeyError",
    ]


def test_a_suppressed_context_is_not_shown() -> None:
    error = ValueError("new")
    error.__context__ = _caught("maple")
    assert len(describe_exception(error)) == 2
    error.__suppress_context__ = True
    assert len(describe_exception(error)) == 1


def test_cycles_and_depths_are_bounded() -> None:
    error = ValueError("x")
    error.__cause__ = KeyError("y")
    error.__cause__.__cause__ = error
    assert len(describe_exception(error)) == 2
    assert len(describe_exception(ExceptionGroup("many", [ValueError(str(n)) for n in range(20)]))) == MAX_EXCEPTIONS

    def deeper(levels: int) -> None:
        if levels == 0:
            raise ValueError("end")
        deeper(levels - 1)

    with pytest.raises(ValueError, match="end") as caught:
        deeper(100)
    assert len(describe_exception(caught.value)[0]["frames"]) == MAX_FRAMES  # type: ignore[arg-type]  # a list


def test_an_exception_from_a_child_of_the_pool_is_shown_without_its_text() -> None:
    try:
        _fail(GUID)
    except KeyError:
        described = describe_exception(ExceptionInfo().exc_info)
    assert described[0]["type"] == "KeyError"
    assert __file__ in str(described[0]["frames"])
    assert GUID not in str(described)


def test_an_exception_whose_text_fails_still_has_a_type() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError(GUID)

    assert describe_exception(Broken())[0]["type"] == "Broken"
    assert describe_exception((None, None, None)) == []
