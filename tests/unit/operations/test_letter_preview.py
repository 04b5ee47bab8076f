"""What a replay would do now is said before anybody does it."""

from dataclasses import replace
from typing import Any

import pytest

from worker.ledger.dead_letters import Letter
from worker.operations.letter_preview import Preview, Would, preview_of_closed, preview_of_login
from worker.operations.letter_texts import checked_text
from worker.operations.rejected_messages import FieldReason, reasons_of

NOW = 1_700_000_000_000
LETTER = Letter("dl-7", "login", "open", "INVALID_LOGIN", NOW, NOW, login="lgn_a", wish="on", version=3)
LOGIN: dict[str, Any] = {
    "dead_letter": "dl-7",
    "state": "dead_lettered",
    "wish": "on",
    "event_id": "evt-1",
    "occurred_us": 5,
    "confirmed_wish": None,
    "rests_until": None,
}
OPEN: dict[str, Any] = {"state": "open"}
CALLED = "Asserts the newest wish, on, of event evt-1, as soon as the rate limit allows."
SHUT: dict[str, Any] = {"state": "closed", "cause": "operator", "by": "bob", "detail": "maintenance"}


def preview(*, gate: dict[str, Any] = OPEN, paused_ms: int = 0, **changes: Any) -> Preview:
    return preview_of_login(LETTER, LOGIN | changes, gate, paused_ms=paused_ms, now_ms=NOW)


@pytest.mark.parametrize(
    ("found", "would", "until", "sentence"),
    [
        (preview(), Would.CALL, None, CALLED),
        (
            preview(gate=SHUT, paused_ms=9, rests_until=NOW + 9),
            Would.WAIT_FOR_GATE,
            None,
            "Asserts the newest wish, on, of event evt-1, once the gate opens: closed by bob: maintenance.",
        ),
        (
            preview(rests_until=NOW + 1001, paused_ms=9),
            Would.WAIT_FOR_REST,
            NOW + 1001,
            "Asserts the newest wish, on, of event evt-1, in 2 s, as an earlier call may still take effect.",
        ),
        (
            preview(paused_ms=5000, rests_until=NOW),
            Would.WAIT_FOR_RATE,
            NOW + 5000,
            "Asserts the newest wish, on, of event evt-1, in 5 s, as Flinks asked for a pause.",
        ),
        (
            preview(confirmed_wish="on"),
            Would.CALL,
            None,
            f"{CALLED} Flinks has that wish already, by the last confirmed call, and is called all the same.",
        ),
    ],
)
def test_the_preview_of_a_login(found: Preview, would: Would, until: int | None, sentence: str) -> None:
    assert (found.would, found.waits_until, found.sentence) == (would, until, sentence)
    assert (found.version, found.wish, found.event_id, found.is_possible) == (3, "on", "evt-1", True)


@pytest.mark.parametrize("login", [None, LOGIN | {"state": "applied"}, LOGIN | {"dead_letter": "dl-9"}])
def test_a_login_that_was_called_or_deleted_since_is_not_called(login: dict[str, Any] | None) -> None:
    found = preview_of_login(LETTER, login, OPEN, paused_ms=0, now_ms=NOW)
    assert (found.would, found.is_possible, found.wish) == (Would.SUPERSEDE, False, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"status": "superseded", "superseded_by": "evt-2"}, "superseded by the newer event evt-2 on 2023-11-14"),
        ({"status": "corrected", "closed_by": "ann"}, "corrected by ann on 2023-11-14 22:13:20 UTC."),
    ],
)
def test_the_preview_of_a_closed_letter_says_how_it_was_closed(changes: dict[str, Any], sentence: str) -> None:
    found = preview_of_closed(replace(LETTER, closed_at=NOW, **changes))
    assert (found.would, found.is_possible) == (Would.CLOSED, False)
    assert sentence in found.sentence
    assert "Nothing" not in found.sentence


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("time: is required; data.loginId: must be a text", ["time", "data.loginId"]),
        ("args: must be empty; send keyword arguments", ["args"]),
        ("(another field): is not a field of this event; and 3 more", ["(another field)"]),
        ("data.(another field): is not a field of this event", ["data.(another field)"]),
        ("sealedLoginId, opened: begins or ends with a space", ["sealedLoginId, opened"]),
        ("", [""]),
    ],
)
def test_reasons_are_split_by_field(reason: str, fields: list[str]) -> None:
    found = reasons_of(reason)
    assert [each.field for each in found] == fields
    assert "; ".join(f"{each.field}: {each.rule}" if each.field else each.rule for each in found) == reason


def test_reasons_are_values() -> None:
    assert reasons_of("time: is required") == [FieldReason("time", "is required")]


def test_a_text_is_one_printable_line_without_what_looks_like_a_secret() -> None:
    text = checked_text(" see\n\u202e 5e115eab-0000-4000-8000-00000c0ffee1 ", "note")
    assert text == "see ? [masked]"
