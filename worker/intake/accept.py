"""Takes messages in: parse strictly, name and seal the loginId, record; keep what cannot be accepted.

After `accept_*` returns, every event of the message is in the ledger or on the review list, so the caller may
acknowledge it. Every way in and every replay of a rejected message comes here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from worker.errors import InvalidEvent, SealError, UnknownKey
from worker.events.contract import MAX_BODY_BYTES, LifecycleEvent, check_login_id, decode_documents
from worker.ledger import Lane, Ledger, Letters, Message, Parked, Recorded, Wish
from worker.vault.spellings import Spellings
from worker.vault.vault import Vault

REJECT_AT_MOST = 200
REJECT_BYTES = 1_048_576
"""Rejected messages are written in groups of at most this many and about this size."""
_MAY_BE_VALID = frozenset({"unknown_instance", "unknown_key"})
"""Codes of rejections that a wrong setting of ours may have caused: these messages are kept whatever the limits say."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message, or one event of a batch, that was not accepted, as it goes to the review list."""

    error: InvalidEvent
    source: str
    body: bytes
    must_keep: bool = False
    """It may hold events that are valid: keep it, however many letters there are."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What may be told of a message, or one event of a batch, that was not accepted."""

    reason: str
    code: str
    source: str
    letter_id: str
    is_new_group: bool
    is_kept: bool
    """False: the review list is full, and this message was only counted."""


class CeleryMessage(NamedTuple):
    """What a Celery message says, not judged yet: its task's name, arguments and id."""

    type: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    task_id: str


class Intake:
    """The only writer of events into the ledger.

    With `replicas`, every method that writes returns only when that many replicas have what it wrote, and raises
    NotReplicated where they do not say so in time: the caller keeps its message, and tries again.
    """

    def __init__(
        self,
        ledger: Ledger,
        letters: Letters,
        vault: Vault,
        *,
        instances: frozenset[str],
        default_instance: str,
        max_ahead_seconds: float,
        replicas: int = 0,
        require_sealed: bool = False,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._letters = letters
        self._vault = vault
        self._instances = instances
        self._default_instance = default_instance
        self._max_ahead_seconds = max_ahead_seconds
        self._replicas = replicas
        self._require_sealed = require_sealed
        self._on_rejected = on_rejected

    def accept_celery(self, event_type: str, args: Sequence[Any], kwargs: Mapping[str, Any], task_id: str) -> bool:
        """Take one Celery message in. False: it went to the review list."""
        return self.accept_messages([CeleryMessage(event_type, args, kwargs, task_id)])

    def accept_messages(self, messages: Sequence[CeleryMessage]) -> bool:
        """Take Celery messages in; `event_id` defaults to the task id. False: some went to the review list."""
        pairs: list[tuple[Wish, object]] = []
        rejections = []
        for message in messages:
            arguments = {**message.kwargs}
            if arguments.get("event_id") is None:
                arguments["event_id"] = message.task_id
            document = {"type": message.type, "args": list(message.args), "kwargs": arguments}
            try:
                event = LifecycleEvent.from_celery(message.type, arguments, self._default_instance, args=message.args)
                pairs.append((self._wish(event), document))
            except InvalidEvent as error:
                rejections.append(Rejection(error, "celery", readable(document)))
        return self._take_in(pairs, rejections, source="celery")

    def accept_bodies(self, bodies: Sequence[bytes]) -> bool:
        """Take bodies of stream entries in, each one CloudEvent or an array of them. False: some went to review."""
        pairs: list[tuple[Wish, object]] = []
        rejections: list[Rejection] = []
        for body in bodies:
            self._read_body(body, pairs, rejections)
        return self._take_in(pairs, rejections, source="stream")

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Keep messages that were not accepted, sealed, for a person; in groups, not one round trip each."""
        for group in _groups(rejections):
            self._park(group, [self._message(rejection) for rejection in group])

    def reject_oversize(self, *, source: str, size: int, key: str) -> bool:
        """Write a letter for an entry too large to load, kept under `key`. False: the list is full, so delete it."""
        reason = f"body: larger than {MAX_BODY_BYTES} bytes; for 90 days it is kept, unsealed, under {key}"
        rejection = Rejection(InvalidEvent(reason), source, b"")
        message = Message("iv-" + self._vault.fingerprint(key), rejection.error.code, reason, source, size)
        return self._park([rejection], [message]) != [Parked.UNKEPT]

    def _park(self, rejections: Sequence[Rejection], messages: Sequence[Message]) -> Sequence[Parked]:
        results = self._letters.park(messages, replicas=self._replicas)
        for rejection, message, result in zip(rejections, messages, results, strict=True):
            error, is_first, is_kept = rejection.error, result is Parked.FIRST, result is not Parked.UNKEPT
            self._on_rejected(Rejected(error.reason, error.code, rejection.source, message.id, is_first, is_kept))
        return results

    def _message(self, rejection: Rejection) -> Message:
        error, body = rejection.error, rejection.body
        letter_id = "iv-" + self._vault.fingerprint(body.decode("latin-1"))
        return Message(
            id=letter_id,
            code=error.code,
            reason=error.reason,
            source=rejection.source,
            size=len(body),
            sealed_body=self._vault.seal(body_context(letter_id), body),
            event_id=error.event_id,
            must_keep=rejection.must_keep or error.code in _MAY_BE_VALID,
        )

    def accept_again(self, source: str, body: bytes) -> bool:
        """Take a rejected message in once more, as it came: its own time still decides its place."""
        if source == "celery":
            message = json.loads(body)
            return self.accept_celery(message["type"], message["args"], message["kwargs"], "")
        return self.accept_bodies([body])  # of the stream, or a foreign message of a queue: it may be a CloudEvent

    def _read_body(self, body: bytes, pairs: list[tuple[Wish, object]], rejections: list[Rejection]) -> None:
        """Add what is in a body to what is accepted, or rejected."""
        try:
            documents = decode_documents(body)
        except InvalidEvent as error:
            rejections.append(Rejection(error, "stream", body))
            return
        for document in documents:
            part = body if len(documents) == 1 else document
            try:
                pairs.append((self._wish(LifecycleEvent.from_cloudevent(document, self._default_instance)), part))
            except InvalidEvent as error:
                rejections.append(Rejection(error, "stream", readable(part)))

    def _take_in(self, pairs: Sequence[tuple[Wish, object]], rejections: Sequence[Rejection], *, source: str) -> bool:
        """Record wishes, each with what to keep if it is dated too far ahead; reject the rest. False: some were."""
        wishes = [wish for wish, _ in pairs]
        results = self._ledger.record(wishes, furthest_ahead_seconds=self._max_ahead_seconds, replicas=self._replicas)
        field = "occurred_at" if source == "celery" else "time"
        reason = f"{field}: lies more than {self._max_ahead_seconds:g} s in the future"
        ahead = [
            Rejection(InvalidEvent(reason, event_id=wish.event_id), source, readable(part))
            for result, (wish, part) in zip(results, pairs, strict=True)
            if result is Recorded.AHEAD
        ]
        self.reject([*rejections, *ahead])
        return not (rejections or ahead)

    def _wish(self, event: LifecycleEvent) -> Wish:
        """Name and seal the login of an event; raises InvalidEvent."""
        login_id = event.login_id or self._opened(event)
        login = Spellings(login_id)
        event_id = self._vault.without_login(event.event_id, login)
        if event.instance not in self._instances:
            reason = "instance: is not one of the configured instances"
            raise InvalidEvent(reason, code="unknown_instance", event_id=event_id)
        if self._require_sealed and not event.sealed_login_id:
            raise InvalidEvent("loginId: came in clear, and REQUIRE_SEALED is set here; seal it", event_id=event_id)
        reference = self._vault.reference(event.instance, login_id)
        return Wish(
            reference=reference,
            instance=event.instance,
            sealed=self._vault.seal_login(reference, login_id),
            occurred_us=event.occurred_us,
            wants_active=event.wants_active,
            event_id=event_id,
            account_id=event.account_id and self._vault.without_login(event.account_id, login),
            lane=Lane.LIVE,
        )

    def _opened(self, event: LifecycleEvent) -> str:
        """Return the loginId that a producer sealed; raises InvalidEvent."""
        code = "invalid_event"
        try:
            login_id = self._vault.open_sealed_login(event.sealed_login_id)
            check_login_id(login_id)
        except UnknownKey as error:
            code, reason = "unknown_key", f"sealedLoginId: is sealed to key {error.key_id}, which LOGIN_KEYS lacks"
        except SealError:
            reason = "sealedLoginId: cannot be opened; it was altered, or is no sealed box to the key that it names"
        except InvalidEvent as error:
            reason = error.reason
        else:
            return login_id
        raise InvalidEvent(reason, code=code, event_id=self._vault.without_login(event.event_id, None))


def body_context(letter_id: str) -> str:
    """Return what the sealed body of a letter is bound to, so that none passes for the body of another letter."""
    return f"rejected message {letter_id}"


def _groups(rejections: Iterable[Rejection]) -> Iterator[Sequence[Rejection]]:
    group: list[Rejection] = []
    size = 0
    for rejection in rejections:
        group.append(rejection)
        size += len(rejection.body)
        if len(group) >= REJECT_AT_MOST or size >= REJECT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def readable(document: object) -> bytes:
    """Return a message as JSON, as `accept_again` reads it, and bytes as they are; never raises."""
    if isinstance(document, bytes):
        return document
    try:
        text = json.dumps(document, ensure_ascii=False, default=str)
    except RecursionError:  # only a Celery message can be nested like that
        text = '{"type": "", "args": ["nested too deeply to be kept"], "kwargs": {}}'
    return text.encode("utf-8", "surrogatepass")
