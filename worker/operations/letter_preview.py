"""Says what a replay of a dead letter would do now, before anybody does it. Does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.ledger.dead_letters import Letter
from worker.ledger.letter_changes import closed_sentence
from worker.operations.advice import gate_reason
from worker.operations.rejected_messages import FieldReason, Judged


class Would(StrEnum):
    """What a replay would do."""

    CALL = "called"
    """The login is due at once, with its newest wish."""
    WAIT_FOR_GATE = "waits_for_gate"
    WAIT_FOR_RATE = "waits_for_rate"
    """Flinks asked for a pause."""
    WAIT_FOR_REST = "waits_for_rest"
    """An earlier call may still take effect."""
    SUPERSEDE = "superseded"
    """The login was called or deleted since, so nothing is called."""
    ACCEPT = "accepted_again"
    """Of a rejected message: its events are valid now."""
    STILL_INVALID = "still_invalid"
    NEEDS_LOGIN_KEYS = "needs_login_keys"
    NOT_KEPT = "not_kept"
    """The rejected message is kept elsewhere, or sealed under a key that LOGIN_KEYS lacks."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay of one letter would do now, in a word and in a sentence."""

    letter_id: str
    version: int
    """Pass it to the action, so that the action is refused if the letter changed since."""
    would: Would
    sentence: str
    wish: str = ""
    """The newest wish of the login (on, off), its event, and when that happened, microseconds since 1970."""
    event_id: str = ""
    occurred_us: int = 0
    is_already_as_wished: bool = False
    """The last confirmed call had the same wish. The login is called all the same."""
    waits_until: int | None = None
    """ms"""
    reasons: Sequence[FieldReason] = ()
    """Of a rejected message: why it is still invalid, by field."""

    @property
    def is_possible(self) -> bool:
        """Whether a replay would change anything but close the letter."""
        return self.would in {Would.CALL, Would.WAIT_FOR_GATE, Would.WAIT_FOR_RATE, Would.WAIT_FOR_REST, Would.ACCEPT}


def preview_of_closed(letter: Letter) -> Preview:
    """Return the preview of a letter that is closed."""
    sentence = closed_sentence(letter).removesuffix(" Nothing was done.")
    return Preview(letter.id, letter.version, Would.CLOSED, sentence)


def preview_of_login(
    letter: Letter, login: Mapping[str, Any] | None, gate: Mapping[str, Any], *, paused_ms: int, now_ms: int
) -> Preview:
    """Return the preview of a letter about a login: `login` and `gate` as Views has them."""
    if login is None or login["dead_letter"] != letter.id or login["state"] != "dead_lettered":
        sentence = "The login was called or deleted since, so the letter is only closed, as superseded."
        return Preview(letter.id, letter.version, Would.SUPERSEDE, sentence)
    would, sentence, until = _waiting(login, gate, paused_ms, now_ms)
    same = login["confirmed_wish"] == login["wish"]
    if same:
        sentence += " Flinks has that wish already, by the last confirmed call, and is called all the same."
    return Preview(
        letter.id,
        letter.version,
        would,
        f"Asserts the newest wish, {login['wish']}, of event {login['event_id']}{sentence}",
        wish=login["wish"],
        event_id=login["event_id"],
        occurred_us=login["occurred_us"],
        is_already_as_wished=same,
        waits_until=until,
    )


def preview_of_message(letter: Letter, judged: Judged) -> Preview:
    """Return the preview of a letter about a rejected message whose body can be read."""
    valid, invalid = len(judged.wishes), len(judged.invalid)
    if not valid:
        sentence = "The message is still invalid. Correct it and resubmit it, or resolve the letter."
        return Preview(letter.id, letter.version, Would.STILL_INVALID, sentence, reasons=judged.reasons)
    sentence = f"{_events(valid)} valid now and would be accepted; an event's own time decides the order."
    if invalid:
        sentence += f" {_events(invalid)} still invalid, and would get a letter of its own."
    return Preview(letter.id, letter.version, Would.ACCEPT, sentence, reasons=judged.reasons)


def preview_of_unreadable(letter: Letter, would: Would, why: str) -> Preview:
    """Return the preview of a letter about a rejected message whose body cannot be read here."""
    return Preview(letter.id, letter.version, would, why.removesuffix(" Nothing was done."))


def _events(count: int) -> str:
    return "1 event is" if count == 1 else f"{count:,} events are"


def _waiting(
    login: Mapping[str, Any], gate: Mapping[str, Any], paused_ms: int, now_ms: int
) -> tuple[Would, str, int | None]:
    if gate["state"] != "open":
        return Would.WAIT_FOR_GATE, f", once the gate opens: {gate_reason(dict(gate))}.", None
    rests_until = login["rests_until"] or 0
    if rests_until > now_ms:
        seconds = (rests_until - now_ms + 999) // 1000
        return Would.WAIT_FOR_REST, f", in {seconds:,} s, as an earlier call may still take effect.", rests_until
    if paused_ms > 0:
        seconds = (paused_ms + 999) // 1000
        return Would.WAIT_FOR_RATE, f", in {seconds:,} s, as Flinks asked for a pause.", now_ms + paused_ms
    return Would.CALL, ", as soon as the rate limit allows.", None
