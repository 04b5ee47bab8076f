"""Finds what became of published events, in the stream, the ledger and the dead letters. Changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from worker.errors import SealError
from worker.events.channels import STREAM
from worker.events.contract import LifecycleEvent
from worker.intake.accept import letter_id_of
from worker.ledger.login_fields import read_values, stored_names
from worker.redis_client.connect import BytesRedis
from worker.vault.spellings import Spellings
from worker.vault.vault import Vault

IN_ONE_READ = 500
NOT_TAKEN_IN = "no worker has taken it in yet"
NOT_FOUND = (
    "it left the stream, and neither the ledger nor the dead letters have it: the review list is full, another client "
    "deleted it, or FLINKS_INSTANCE is not the workers'"
)
_FIELDS = ("occurred_us", "wish", "event_id", "state", "last_code", "letter")


class Result(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    WAITING = "waiting"
    DEAD_LETTERED = "dead_lettered"
    REJECTED = "rejected"


DONE = frozenset({Result.APPLIED, Result.SUPERSEDED, Result.DUPLICATE})


@dataclass(slots=True)
class SentEvent:
    """A published event, and the last result that was found."""

    event_id: str
    """As the ledger stores it: masked if it contains the loginId."""
    login: str
    """The reference; empty if it cannot be derived here."""
    order: tuple[int, bool, bytes]
    """Compares events of one login as wishes.lua does: by time, then inactive before linked, then id."""
    letter_id: str
    """The dead letter that it gets if it is rejected."""
    line: int | None = None
    entry_id: bytes = b""
    result: Result | None = None
    reason: str = ""
    dead_letter_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether another look may find another result."""
        return self.result in {None, Result.WAITING}


class EventResults:
    """Derives the references of events, and looks up their results; raises redis.RedisError."""

    def __init__(self, client: BytesRedis, vault: Vault, *, default_instance: str) -> None:
        self._redis = client
        self._vault = vault
        self._default_instance = default_instance
        self._seen: set[tuple[str, tuple[int, bool, bytes]]] = set()

    def event(self, event: LifecycleEvent, body: bytes, *, line: int | None = None) -> SentEvent:
        """Return an event that is sent as `body`."""
        try:
            login_id = event.login_id or self._vault.open_sealed_login(event.sealed_login_id)
        except SealError:
            login_id = ""
        event_id = self._vault.without_login(event.event_id, Spellings(login_id) if login_id else None)
        return SentEvent(
            event_id=event_id,
            login=self._vault.reference(event.instance or self._default_instance, login_id) if login_id else "",
            order=(event.occurred_us, not event.wants_active, event_id.encode()),
            letter_id=letter_id_of(self._vault, body),
            line=line,
        )

    def mark_duplicates(self, events: Sequence[SentEvent]) -> None:
        """Set the result of events that the ledger has, or that came before; call it before they are sent."""
        for event, (_, login, _) in self._read(events):
            key = event.login, event.order
            if event.login and (_order_of(login) == event.order or key in self._seen):
                event.result = Result.DUPLICATE
            self._seen.add(key)

    def look(self, events: Iterable[SentEvent]) -> None:
        """Update the results of sent events."""
        for event, (entry, login, letter) in self._read(events):
            event.result, event.reason, event.dead_letter_id = _result(event, entry, login, letter)

    def _read(self, events: Iterable[SentEvent]) -> Iterator[tuple[SentEvent, tuple[Any, dict[str, bytes], Any]]]:
        rest = iter(events)
        while batch := list(islice(rest, IN_ONE_READ)):
            with self._redis.pipeline(transaction=False) as pipeline:
                for event in batch:  # the entry first: a worker records an event before it deletes its entry
                    pipeline.xrange(STREAM, event.entry_id or "-", event.entry_id or "-", count=1)
                    pipeline.hmget(f"nightly:login:{event.login}", stored_names(_FIELDS))
                    pipeline.hmget(f"nightly:letter:{event.letter_id}", "status", "reason")
                replies = pipeline.execute()
            for event, at in zip(batch, range(0, len(replies), 3), strict=True):
                entry, login, letter = replies[at : at + 3]
                yield event, (entry, dict(read_values(_FIELDS, login)), letter)


def _order_of(login: dict[str, bytes]) -> tuple[int, bool, bytes] | None:
    if "occurred_us" not in login:
        return None
    return int(login["occurred_us"]), login["wish"] == b"0", login["event_id"]


def _result(
    event: SentEvent, entry: object, login: dict[str, bytes], letter: Sequence[bytes | None]
) -> tuple[Result, str, str]:
    if entry:
        return Result.WAITING, NOT_TAKEN_IN, ""
    order = _order_of(login)
    if order == event.order:
        return _result_of_newest(login)
    if order is not None and order > event.order:
        return Result.SUPERSEDED, "", ""
    if letter[0] == b"open":
        return Result.REJECTED, (letter[1] or b"").decode("utf-8", "replace"), event.letter_id
    return Result.WAITING, NOT_FOUND, ""


def _result_of_newest(login: dict[str, bytes]) -> tuple[Result, str, str]:
    if login["state"] == b"done":
        return Result.APPLIED, "", ""
    if login["state"] == b"dead":
        return Result.DEAD_LETTERED, login.get("last_code", b"").decode(), login.get("letter", b"").decode()
    return Result.WAITING, "", ""
