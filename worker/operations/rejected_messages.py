"""Reads rejected messages: the text that a person may edit, and the events in a kept or an edited body."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from worker.errors import InvalidAction, InvalidEvent
from worker.events.contract import EVENT_TYPES, decode_json
from worker.intake.accept import Intake, Rejection, body_context
from worker.intake.messages import CeleryMessage, EventMessage, read_body
from worker.ledger import Letters, Wish
from worker.ledger.dead_letters import Letter
from worker.vault.vault import Vault

_REASON = re.compile(r"(?:sealedLoginId, opened|(?:[\w.]|\(another field\))+): ")


@dataclass(frozen=True, slots=True)
class FieldReason:
    """Why one field was rejected: the rule, never the value. `field` is empty for the message as a whole."""

    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The events of a message: those that can be recorded, and those that are invalid."""

    wishes: Sequence[Wish]
    invalid: Sequence[Rejection]

    @property
    def reasons(self) -> list[FieldReason]:
        """Why the invalid ones are invalid, each reason once."""
        found = [reason for each in self.invalid for reason in reasons_of(each.error.reason)]
        return list(dict.fromkeys(found))


def reasons_of(text: str) -> list[FieldReason]:
    """Split the reason of a rejection by field."""
    found: list[FieldReason] = []
    for part in text.split("; "):
        begins = _REASON.match(part)
        if begins or not found:
            name = begins[0][:-2] if begins else ""
            found.append(FieldReason(name, part[begins.end() :] if begins else part))
        else:  # a rule may hold a semicolon itself
            found[-1] = FieldReason(found[-1].field, f"{found[-1].rule}; {part}")
    return found


def open_body(letters: Letters, vault: Vault, letter: Letter) -> bytes:
    """Return the kept body of an open letter, a Celery message as JSON; raises InvalidAction and SealError."""
    if letter.kind != "message":
        raise InvalidAction(f"{letter.id} is about a login, not about a rejected message. Nothing was done.")
    sealed = letters.body(letter.id)
    if not sealed:
        raise InvalidAction(f"The message of {letter.id} is not kept here: {letter.reason}. Nothing was done.")
    return _readable(letter.source, vault.open(body_context(letter.id), sealed))


def judge_body(intake: Intake, body: bytes) -> Judged:
    """Judge the events in a body: CloudEvents, or a Celery message as JSON. Nothing is recorded or kept."""
    try:
        messages = _messages_in(body)
    except InvalidEvent as error:
        return Judged([], [Rejection(error, "stream", body)])
    outcomes = intake.judge(messages)
    pairs = list(zip(messages, outcomes, strict=True))
    return Judged(
        [outcome for outcome in outcomes if isinstance(outcome, Wish)],
        [
            Rejection(outcome, message.source, message.body(), claimed=message.claimed())
            for message, outcome in pairs
            if isinstance(outcome, InvalidEvent)
        ],
    )


def _messages_in(body: bytes) -> Sequence[EventMessage]:
    """Return the events of a body; raises InvalidEvent."""
    document = decode_json(body)
    if not isinstance(document, dict) or "kwargs" not in document:
        return read_body(body)
    match document:
        case {"type": str(name), "args": list(args), "kwargs": dict(kwargs)} if name in EVENT_TYPES:
            return [CeleryMessage(name, args, kwargs, "")]
        case {"type": str(name), "args": list(), "kwargs": dict()} if name not in EVENT_TYPES:
            raise InvalidEvent("type: must be account.linked or account.inactive")
    raise InvalidEvent("event: a Celery message needs a type, a list of args, and kwargs")


def _readable(source: str, body: bytes) -> bytes:
    if source != "queue":
        return body
    from worker.intake.celery_message import kept_message  # noqa: PLC0415 - Celery is heavy, and few letters need it

    message = kept_message(body)
    return message.body() if isinstance(message, CeleryMessage) else message
