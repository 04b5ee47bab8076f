"""Takes messages in: parse strictly, name and seal the loginId, record; keep what cannot be accepted.

After `accept_*` returns, every event of the message is in the ledger or on the review list, so the caller
may acknowledge it. Both ways in come together here (the Celery tasks and the stream subscriber), and
so do replays of rejected messages.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.errors import EventsRefused, InvalidEvent
from worker.events import LifecycleEvent, decode_documents
from worker.ledger import Lane, Ledger, Letters, Recorded, Wish
from worker.seal import Vault, letters_of

BODY_CONTEXT = "rejected message"
KEEP_BYTES = 65_536
"""A rejected body is kept up to here; what is longer is no event, and would only fill Redis."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What may be told of a message, or one event of a batch, that was not accepted."""

    reason: str
    code: str
    source: str
    letter_id: str
    is_new_group: bool


class CeleryMessage(NamedTuple):
    """What a Celery message says, not judged yet: its task's name, arguments and id."""

    type: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    task_id: str


class Intake:
    """The only writer of events into the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        letters: Letters,
        vault: Vault,
        *,
        instances: frozenset[str],
        default_instance: str,
        max_ahead_seconds: float,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._letters = letters
        self._vault = vault
        self._instances = instances
        self._default_instance = default_instance
        self._max_ahead_seconds = max_ahead_seconds
        self._on_rejected = on_rejected

    def accept_celery(self, event_type: str, args: Sequence[Any], kwargs: Mapping[str, Any], task_id: str) -> bool:
        """Take one Celery message in. False: it went to the review list."""
        return self.accept_messages([CeleryMessage(event_type, args, kwargs, task_id)])

    def accept_messages(self, messages: Sequence[CeleryMessage]) -> bool:
        """Take Celery messages in; `event_id` defaults to the task id. False: some went to the review list."""
        pairs = []
        for message in messages:
            arguments = {**message.kwargs}
            if arguments.get("event_id") is None:
                arguments["event_id"] = message.task_id
            document = {"type": message.type, "args": list(message.args), "kwargs": arguments}
            try:
                event = LifecycleEvent.from_celery(message.type, arguments, self._default_instance, args=message.args)
                pairs.append((self._wish(event), document))
            except InvalidEvent as error:
                self.reject(error, source="celery", body=readable(document))
        return self._record(pairs, source="celery") and len(pairs) == len(messages)

    def accept_bodies(self, bodies: Sequence[bytes]) -> bool:
        """Take bodies of stream entries in, each one CloudEvent or an array of them. False: some went to review."""
        read = [self._read_body(body) for body in bodies]
        all_read = all(is_whole for _, is_whole in read)
        return self._record([pair for pairs, _ in read for pair in pairs], source="stream") and all_read

    def accept_whole(self, documents: Sequence[object], *, replicas: int = 0) -> list[Recorded]:
        """Take in CloudEvents whose sender waits for the answer: all of them, or none and nothing is kept for review.

        Returns recorded, duplicate or superseded for each, in order. Raises EventsRefused, NotReplicated where fewer
        than `replicas` confirmed (sending again is right), and redis.RedisError.
        """
        wishes: list[Wish] = []
        errors: dict[int, InvalidEvent] = {}
        for position, document in enumerate(documents):
            try:
                wishes.append(self._wish(LifecycleEvent.from_cloudevent(document, self._default_instance)))
            except InvalidEvent as error:
                errors[position] = error
        if errors:
            raise EventsRefused(errors)
        furthest_us = (self._ledger.now_ms() + round(self._max_ahead_seconds * 1000)) * 1000
        self._refuse_ahead(wish.occurred_us > furthest_us for wish in wishes)
        results = self._ledger.record_whole(wishes, furthest_ahead_seconds=self._max_ahead_seconds, replicas=replicas)
        self._refuse_ahead(result is Recorded.AHEAD for result in results)  # only where Redis' clock was set back
        return results

    def reject(self, error: InvalidEvent, *, source: str, body: bytes) -> None:
        """Keep a message that was not accepted, sealed, for a person."""
        letter_id = "iv-" + self._vault.fingerprint(body.decode("latin-1"))
        fields: dict[str, str | bytes] = {
            "reason": error.reason,
            "source": source,
            "body_bytes": str(len(body)),
            "sealed_body": self._vault.seal(BODY_CONTEXT, body[:KEEP_BYTES]),
        }
        is_new = self._letters.park(letter_id, instance="", code=error.code, fields=fields)
        self._on_rejected(Rejected(error.reason, error.code, source, letter_id, is_new))

    def accept_again(self, source: str, body: bytes) -> bool:
        """Take a rejected message in once more, as it came: its own time still decides its place."""
        if source == "celery":
            message = json.loads(body)
            return self.accept_celery(message["type"], message["args"], message["kwargs"], "")
        return self.accept_bodies([body])  # of the stream, or a foreign message of a queue: it may be a CloudEvent

    def _read_body(self, body: bytes) -> tuple[list[tuple[Wish, object]], bool]:
        try:
            documents = decode_documents(body)
        except InvalidEvent as error:
            self.reject(error, source="stream", body=body)
            return [], False
        pairs: list[tuple[Wish, object]] = []
        for document in documents:
            part = body if len(documents) == 1 else document
            try:
                pairs.append((self._wish(LifecycleEvent.from_cloudevent(document, self._default_instance)), part))
            except InvalidEvent as error:
                self.reject(error, source="stream", body=_kept(part))
        return pairs, len(pairs) == len(documents)

    def _record(self, pairs: Sequence[tuple[Wish, object]], *, source: str) -> bool:
        """Record wishes; each comes with what to keep if it is dated too far ahead, bytes or a document."""
        wishes = [wish for wish, _ in pairs]
        results = self._ledger.record(wishes, furthest_ahead_seconds=self._max_ahead_seconds)
        field = "occurred_at" if source == "celery" else "time"
        for result, (_, part) in zip(results, pairs, strict=True):
            if result is Recorded.AHEAD:
                self.reject(self._ahead(field), source=source, body=_kept(part))
        return Recorded.AHEAD not in results

    def _refuse_ahead(self, are_ahead: Iterable[bool]) -> None:
        errors = {position: self._ahead("time") for position, is_ahead in enumerate(are_ahead) if is_ahead}
        if errors:
            raise EventsRefused(errors)

    def _ahead(self, field: str) -> InvalidEvent:
        return InvalidEvent(f"{field}: lies more than {self._max_ahead_seconds:g} s in the future")

    def _wish(self, event: LifecycleEvent) -> Wish:
        if event.instance not in self._instances:
            raise InvalidEvent("instance: is not one of the configured instances", code="unknown_instance")
        reference = self._vault.reference(event.instance, event.login_id)
        letters = letters_of(event.login_id)
        return Wish(
            reference=reference,
            instance=event.instance,
            sealed=self._vault.seal_login(reference, event.login_id),
            occurred_us=event.occurred_us,
            wants_active=event.wants_active,
            event_id=self._vault.without_login(event.event_id, letters),
            account_id=event.account_id and self._vault.without_login(event.account_id, letters),
            lane=Lane.LIVE,
        )


def _kept(part: object) -> bytes:
    return part if isinstance(part, bytes) else readable(part)


def readable(document: object) -> bytes:
    """Return a message as JSON, as `accept_again` reads it; never raises."""
    try:
        text = json.dumps(document, ensure_ascii=False, default=str)
    except RecursionError:  # only a Celery message can be nested like that
        text = '{"type": "", "args": ["nested too deeply to be kept"], "kwargs": {}}'
    return text.encode("utf-8", "surrogatepass")
