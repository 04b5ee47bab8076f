"""Puts one dead letter into the words of its page: what a replay would do now, and the facts about it. Does no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.ledger.dead_letters import Letter
from worker.ledger.models import Recorded
from worker.operations.letter_corrections import Done
from worker.operations.letter_preview import Preview, Would
from worker.operations.rejected_messages import FieldReason

Fact = tuple[str, str, int | None]
"""Name, value, and a time in ms that is shown after the value."""
_TITLES = {
    Would.CALL: "Flinks is called with the newest wish: {wish}",
    Would.WAIT_FOR_GATE: "The newest wish, {wish}, waits until the gate opens",
    Would.WAIT_FOR_RATE: "The newest wish, {wish}, waits until Flinks takes calls again",
    Would.WAIT_FOR_REST: "The newest wish, {wish}, waits until an earlier call has ended",
    Would.SUPERSEDE: "Nothing is called: the letter is superseded",
    Would.ACCEPT: "The message would be accepted",
    Would.STILL_INVALID: "The message would be rejected again",
    Would.NEEDS_LOGIN_KEYS: "Not known: this page has no LOGIN_KEYS",
    Would.NOT_KEPT: "The message cannot be replayed from here",
    Would.CLOSED: "Nothing: it is closed",
}
_WARNINGS = {Would.STILL_INVALID, Would.NEEDS_LOGIN_KEYS, Would.NOT_KEPT, Would.WAIT_FOR_GATE}
_CANNOT_REPLAY = {Would.STILL_INVALID, Would.NEEDS_LOGIN_KEYS, Would.NOT_KEPT, Would.CLOSED}
_DONE = {
    "replayed": "Replayed: the newest wish is asserted as soon as its turn comes.",
    "superseded": "The letter is closed as superseded: its login was called or deleted since. Nothing was called.",
    "resolved": "Resolved: the letter is closed, and Flinks is not called.",
    "corrected": "Corrected: the letter is closed.",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a replay of the letter would do now."""

    title: str
    text: str
    is_warning: bool
    can_replay: bool


@dataclass(frozen=True, slots=True)
class Body:
    """The rejected message of a letter: why it was rejected, and its masked text or why there is none."""

    reasons: Sequence[FieldReason]
    text: str = ""
    is_editable: bool = False
    problem: str = ""


def outlook(preview: Preview) -> Outlook:
    """Return the preview in words."""
    title = _TITLES[preview.would].format(wish=preview.wish)
    return Outlook(title, preview.sentence, preview.would in _WARNINGS, preview.would not in _CANNOT_REPLAY)


def done_text(done: Done) -> str:
    """Return what an action on a letter has done, in a sentence."""
    if done.outcome == "corrected" and Recorded.SUPERSEDED in done.recorded:
        return "The letter is closed as corrected. A newer event of that login came before, and its wish stays."
    return _DONE.get(done.outcome, "Done.")


def can_have_nothing_left(letter: Letter) -> bool:
    """Return whether the letter is a deactivation of a login that Flinks does not have."""
    return (letter.kind, letter.code, letter.wish) == ("login", "INVALID_LOGIN", "off")


def facts(letter: Letter) -> list[Fact]:
    """Return what is known about a letter; a fact without a value and a time is left out by the page."""
    about = _of_login(letter) if letter.kind == "login" else _of_message(letter)
    return [("id", letter.id, None), *about, ("filed", "", letter.created_at), *_of_closing(letter)]


def _of_login(letter: Letter) -> Iterator[Fact]:
    answer = f"HTTP {letter.http_status}" if letter.http_status else "no answer"
    yield "login", letter.login, None
    yield "account", letter.account_id, None
    yield "wish", f"{letter.wish}, of an event", letter.occurred_us // 1000
    yield "event", f"{letter.event_id} (revision {letter.revision})", None
    yield "source", f"backfill {letter.backfill}" if letter.backfill else letter.lane, None
    yield "answer", f"{answer}: {letter.message}" if letter.message else answer, None
    yield "attempts", f"{letter.failures:,}, the last", letter.last_at
    yield "first failure", "", letter.first_at or None


def _of_message(letter: Letter) -> Iterator[Fact]:
    yield "rejected", letter.reason, None
    yield "event", letter.event_id, None
    yield "producer", letter.event_source, None
    yield "account", letter.account_id, None
    yield "source", f"{letter.source}, {letter.body_bytes:,} bytes", None
    yield "seen", f"{letter.seen:,} times, the last" if letter.seen > 1 else "", letter.last_at


def _of_closing(letter: Letter) -> Iterator[Fact]:
    if letter.closed_at:
        yield "closed", letter.status, letter.closed_at
    yield "closed by", letter.closed_by, None
    yield "newer event", letter.superseded_by, None
    yield "corrected to", letter.corrected_to, None
    yield "note", letter.note, None
