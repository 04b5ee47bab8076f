"""Accepts or rejects messages: validates each strictly, seals its loginId and records it, or keeps it as a dead letter.

A message that is not JSON, or breaks the contract, is rejected: kept sealed, with a reason without content, or only
counted if the review list is full. After `accept_*` returns, the caller may acknowledge its message. The stream, both
queues and every replay of a rejected message come here; `POST /events` refuses invalid events (`worker/web/webhook`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from worker.clock import elapsed_seconds
from worker.errors import InvalidEvent, SealError, UnknownKey
from worker.events.contract import MAX_BODY_BYTES, LifecycleEvent, Requirements, check_login_id
from worker.intake.messages import EventMessage, read_body
from worker.intake.origin import Claimed, origin_of
from worker.ledger import Kept, Lane, Ledger, Letters, Message, Recorded, Wish
from worker.vault.spellings import Spellings
from worker.vault.vault import Vault

REJECT_AT_MOST = 200
REJECT_BYTES = 1_048_576
"""Rejected messages are written in groups of at most this many and about this size."""
_MAY_BE_VALID = frozenset({"unknown_instance", "unknown_key"})
"""Codes of rejections that a wrong setting may have caused: these messages are kept beyond the list's limits."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected message, or one rejected event of a batch: why, its way in, and the bytes to keep."""

    error: InvalidEvent
    source: str
    body: bytes
    must_keep: bool = False
    """It may hold valid events: keep it beyond the limits of the review list."""
    claimed: Claimed = field(default=Claimed(), repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """What may be logged about a rejected message, or one rejected event of a batch."""

    reason: str
    code: str
    event_id: str
    source: str
    letter_id: str
    is_new_group: bool
    is_kept: bool
    """False: the review list is full, so the message was counted and not kept."""


EventOutcome = Wish | InvalidEvent
"""The result for one message: recorded, or rejected."""
Dispatch = Callable[[Sequence[EventMessage]], Sequence[EventOutcome]]
OnRecorded = Callable[[Sequence[Wish], Sequence[Recorded], float], None]
"""Called with a batch's events, their results, and the seconds that recording took."""


class Intake:
    """Judges all events, and writes them into the ledger; the close of a rejected message's letter writes its events.

    A worker's `dispatch` passes messages to the task of their type, which calls `accept_batch`; default: call it here.

    With `replicas`, every method that writes returns once that many replicas have confirmed, and raises NotReplicated
    if they do not in time: the caller keeps its message and tries again.
    """

    def __init__(
        self,
        ledger: Ledger,
        letters: Letters,
        vault: Vault,
        *,
        requirements: Requirements,
        default_instance: str,
        replicas: int = 0,
        on_recorded: OnRecorded = lambda *_: None,
        on_rejected: Callable[[Rejected], None] = lambda _: None,
        dispatch: Dispatch | None = None,
    ) -> None:
        self._ledger = ledger
        self._letters = letters
        self._vault = vault
        self._requirements = requirements
        self._default_instance = default_instance
        self.replicas = replicas
        self._on_recorded = on_recorded
        self._on_rejected = on_rejected
        self._dispatch = dispatch

    def accept_bodies(self, bodies: Sequence[bytes]) -> bool:
        """Accept bodies of stream entries, each one CloudEvent or an array of them. False: some were rejected."""
        messages: list[EventMessage] = []
        unreadable: list[Rejection] = []
        for body in bodies:
            try:
                messages += read_body(body)
            except InvalidEvent as error:
                unreadable.append(Rejection(error, "stream", body))
        is_whole = self.accept_messages(messages)
        self.reject(unreadable)
        return is_whole and not unreadable

    def accept_messages(self, messages: Sequence[EventMessage]) -> bool:
        """Accept events of any type. False: some were rejected."""
        outcomes = (self._dispatch or self.accept_batch)(messages)
        return not any(isinstance(outcome, InvalidEvent) for outcome in outcomes)

    def accept_batch(self, batch: Sequence[EventMessage], *, wants_active: bool | None = None) -> list[EventOutcome]:
        """Record events together and reject the invalid ones; returns the result for each message.

        `wants_active` is the wish of the batch; None: the contract has a wish for each event's type.
        """
        outcomes = [self._judged(message, wants_active=wants_active) for message in batch]
        wishes = [outcome for outcome in outcomes if isinstance(outcome, Wish)]
        began_at, furthest = elapsed_seconds(), self._requirements.max_ahead_seconds  # ahead of Redis' clock
        recorded = self._ledger.record(wishes, furthest_ahead_seconds=furthest, replicas=self.replicas)
        self._on_recorded(wishes, recorded, elapsed_seconds() - began_at)
        results = iter(recorded)
        for at, outcome in enumerate(outcomes):
            if isinstance(outcome, Wish) and next(results) is Recorded.AHEAD:
                outcomes[at] = self._requirements.ahead(batch[at].time_field)
        self.reject(
            Rejection(outcome, message.source, message.body(), claimed=message.claimed())
            for message, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, InvalidEvent)
        )
        return outcomes

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Keep rejected messages, sealed, as dead letters; writes them in groups to save round trips."""
        for group in _groups(rejections):
            self._keep(group, [self._message(rejection) for rejection in group])

    def reject_oversize(self, *, source: str, size: int, key: str) -> bool:
        """Keep a letter for an entry too large to load, which stays under `key`. False: the list is full; delete it."""
        reason = f"body: larger than {MAX_BODY_BYTES} bytes; for 90 days it is kept, unsealed, under {key}"
        rejection = Rejection(InvalidEvent(reason), source, b"")
        message = Message("iv-" + self._vault.fingerprint(key), rejection.error.code, reason, source, size)
        return self._keep([rejection], [message]) != [Kept.UNKEPT]

    def _keep(self, rejections: Sequence[Rejection], messages: Sequence[Message]) -> Sequence[Kept]:
        results = self._letters.keep_rejected(messages, replicas=self.replicas)
        for rejection, message, result in zip(rejections, messages, results, strict=True):
            self._on_rejected(
                Rejected(
                    reason=message.reason,
                    code=message.code,
                    event_id=message.event_id,
                    source=rejection.source,
                    letter_id=message.id,
                    is_new_group=result is Kept.FIRST,
                    is_kept=result is not Kept.UNKEPT,
                )
            )
        return results

    def _message(self, rejection: Rejection) -> Message:
        error, body = rejection.error, rejection.body
        letter_id, origin = letter_id_of(self._vault, body), origin_of(rejection.claimed, self._vault)
        error.event_id = origin.event_id
        return Message(
            id=letter_id,
            code=error.code,
            reason=error.reason,
            source=rejection.source,
            size=len(body),
            sealed_body=self._vault.seal(body_context(letter_id), body),
            **origin._asdict(),
            must_keep=rejection.must_keep or error.code in _MAY_BE_VALID,
        )

    def judge(self, messages: Sequence[EventMessage]) -> list[EventOutcome]:
        """Judge messages as `accept_batch` does, but record nothing and keep nothing."""
        furthest_us = round((self._ledger.now_ms() / 1000 + self._requirements.max_ahead_seconds) * 1_000_000)
        outcomes = [self._judged(message, wants_active=None) for message in messages]
        for at, outcome in enumerate(outcomes):
            if isinstance(outcome, Wish) and outcome.occurred_us > furthest_us:
                outcomes[at] = self._requirements.ahead(messages[at].time_field)
        return outcomes

    def record(self, wishes: Sequence[Wish], write: Callable[[Sequence[Wish]], Sequence[Recorded]]) -> None:
        """Record the wishes of a rejected message by `write`, and log them like any other events."""
        began_at = elapsed_seconds()
        recorded = write(wishes)
        self._on_recorded(wishes, recorded, elapsed_seconds() - began_at)

    def _judged(self, message: EventMessage, *, wants_active: bool | None) -> EventOutcome:
        try:
            event = message.event(self._default_instance)
            return self._wish(event, wants_active=event.wants_active if wants_active is None else wants_active)
        except InvalidEvent as error:
            return error

    def _wish(self, event: LifecycleEvent, *, wants_active: bool) -> Wish:
        """Return an event as the ledger records it, its loginId sealed; raises InvalidEvent."""
        login_id = event.login_id or self._opened(event)
        login = Spellings(login_id)
        self._requirements.check(event, is_sealed=bool(event.sealed_login_id))
        reference = self._vault.reference(event.instance, login_id)
        return Wish(  # without keywords, which would double the time
            reference,
            event.instance,
            self._vault.seal_login(reference, login_id),
            event.occurred_us,
            wants_active,
            self._vault.without_login(event.event_id, login),
            event.account_id and self._vault.without_login(event.account_id, login),
            Lane.LIVE,
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
            reason = "sealedLoginId: cannot be opened; it was altered, or is not sealed to the key that it names"
        except InvalidEvent as error:
            reason = error.reason
        else:
            return login_id
        raise InvalidEvent(reason, code=code)


def letter_id_of(vault: Vault, body: bytes) -> str:
    """Return the id of the dead letter that a rejected message gets: the same for the same bytes."""
    return "iv-" + vault.fingerprint(body.decode("latin-1"))


def body_context(letter_id: str) -> str:
    """Return the context that binds a sealed body to its dead letter, so that it opens in no other one."""
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
