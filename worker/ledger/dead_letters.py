"""Dead letters in the ledger: keep, find, read. What people do to them is in letter_changes.py.

A letter is about one login whose newest wish cannot be applied, or one message that could not be accepted. Letters have
groups (instance, code, wish), because reviewers decide by group. The sealed body of a message has its own key until the
letter is closed, so that lists of letters do not load it.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any

from worker.errors import UnknownLetter
from worker.ledger.history import by_kind, read_history
from worker.ledger.login_fields import LOGIN_FIELDS
from worker.ledger.scripts import Scripts
from worker.ledger.stored_hash import LATEST_MS, Hash, StoredHash, read_hash, unless_wrong_type
from worker.redis_client.connect import BytesRedis

PAGE = 500
MESSAGES_AT_MOST = 100_000
MESSAGE_BYTES_AT_MOST = 268_435_456
"""Limits for the messages in open letters. Beyond them a message is only counted, as events need the memory."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. Times are milliseconds since 1970, by Redis' clock."""

    id: str
    kind: str
    """`login`, or `message` for a message that was not accepted."""
    status: str
    """open | replayed | resolved | superseded | corrected"""
    code: str
    created_at: int
    last_at: int
    login: str = ""
    instance: str = ""
    wish: str = ""
    """on | off | empty: no wish could be read"""
    lane: str = ""
    revision: int = 0
    event_id: str = ""
    account_id: str = ""
    occurred_us: int = 0
    http_status: int | None = None
    message: str = ""
    reason: str = ""
    source: str = ""
    """Of a message: how it came, `stream`, `celery` or `queue`."""
    event_source: str = ""
    """Of a message: the `source` attribute of its CloudEvent."""
    failures: int = 0
    first_at: int = 0
    seen: int = 1
    body_bytes: int = 0
    closed_at: int | None = None
    closed_by: str = ""
    note: str = ""
    """Of the person who closed it, or the last one on an open letter."""
    owner: str = ""
    snoozed_until: int | None = None
    """An open letter is hidden from the usual list until then, ms."""
    version: int = 0
    """Grows with each change of the letter."""
    superseded_by: str = ""
    """The newer event that closed it."""
    corrected_to: str = ""
    """The reference of the login that has the corrected wish."""
    backfill: str = ""
    """The backfill whose row made the wish; empty: a live event."""
    suspect: str = ""
    """The storm of refused logins that the letter belongs to, or empty. A storm is probably a mistake of ours."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was not accepted. Its only secret, the body, is sealed."""

    id: str
    code: str
    reason: str
    source: str
    size: int
    """Of the body, in bytes."""
    sealed_body: bytes = field(default=b"", repr=False)
    """Empty if the body is kept elsewhere."""
    event_id: str = ""
    """This and the next two: what may be shown of the event, as far as it could be read."""
    event_source: str = ""
    account_id: str = ""
    must_keep: bool = False
    """Keep it beyond the limits; it counts towards them."""


class Kept(StrEnum):
    """What became of one rejected message."""

    FIRST = "first"
    """Kept, and the first open letter of its group."""
    KEPT = "kept"
    UNKEPT = "unkept"
    """Only counted: the limits are reached."""


@dataclass(frozen=True, slots=True)
class Group:
    """Open letters that share instance, code and wish."""

    instance: str
    code: str
    wish: str
    count: int
    oldest_at: int
    newest_at: int


class Letters:
    """The dead letters behind one Redis client."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.redis = client
        self._scripts = Scripts(client)
        self._now_ms = now_ms

    def keep_rejected(self, messages: Sequence[Message], *, replicas: int = 0) -> list[Kept]:
        """Keep messages that were not accepted, in one script; returns a result for each.

        Raises NotReplicated if fewer than `replicas` replicas confirmed it; repeating the call is harmless.
        """
        args = [part for message in messages for part in _fields(message)]
        limits = MESSAGES_AT_MOST, MESSAGE_BYTES_AT_MOST
        reply = self._scripts.run_replicated("keep_rejected", self._now(), *limits, *args, replicas=replicas)
        return [Kept(item.decode()) for item in reply]

    def body(self, letter_id: str) -> bytes:
        """Return the sealed body of the message of an open letter; empty if there is none."""
        return self.redis.get(f"nightly:letter-body:{letter_id}") or b""

    def sealed_login(self, reference: str) -> bytes:
        """Return the sealed loginId of a login; empty if there is no such login."""
        return self.redis.hget(f"nightly:login:{reference}", LOGIN_FIELDS["sealed"]) or b""

    def get(self, letter_id: str) -> Letter:
        """Return one letter; raises UnknownLetter and Unreadable."""
        raw = read_hash(self.redis, f"nightly:letter:{letter_id}")
        if raw == {}:
            raise UnknownLetter(f"there is no dead letter {letter_id!r}")
        return read_letter(letter_id, raw)

    def groups(self) -> Sequence[Group]:
        """Return the groups with open letters, largest first."""
        names = list(self.redis.smembers("nightly:groups"))
        pipeline = self.redis.pipeline(transaction=False)
        for raw in names:
            pipeline.zcard(b"nightly:group:" + raw)
            pipeline.zrange(b"nightly:group:" + raw, 0, 0, withscores=True)
            pipeline.zrange(b"nightly:group:" + raw, -1, -1, withscores=True)
        replies = [unless_wrong_type(reply) for reply in pipeline.execute(raise_on_error=False)]
        found = [
            Group(*parts_of(raw), count, _score(oldest), _score(newest))
            for raw, count, oldest, newest in zip(names, replies[::3], replies[1::3], replies[2::3], strict=True)
            if count
        ]
        return sorted(found, key=lambda group: -group.count)

    def history(self, reference: str) -> Sequence[dict[str, Any]]:
        """Return the stored history of one login, oldest first: attempts, events, and actions of people."""
        return read_history(self.redis, reference) if reference else []

    def attempts(self, reference: str) -> Sequence[dict[str, Any]]:
        """Return only the stored attempts of one login, oldest first."""
        return by_kind(self.history(reference))["attempts"]

    def _now(self) -> str | int:
        return self._now_ms() if self._now_ms else ""


def _fields(message: Message) -> tuple[str | bytes | int, ...]:
    keep = int(message.must_keep)
    about = message.id, message.code, message.reason, message.source, message.size
    return *about, message.sealed_body, message.event_id, message.event_source, message.account_id, keep


def parts_of(group: bytes) -> tuple[str, str, str]:
    """Return instance, code and wish of a group's name; whatever a person put there has three parts, too."""
    instance, code, wish = [*group.decode("utf-8", "replace").split("|", 2), "", ""][:3]
    return instance, code, wish


def _score(pairs: Sequence[tuple[bytes, float]]) -> int:
    return int(pairs[0][1]) if pairs else 0


_CHOICES = {
    "kind": ("login", "message"),
    "status": ("open", "replayed", "resolved", "superseded", "corrected"),
    "wish": ("", "0", "1"),
    "lane": ("", "live", "backfill"),
}


def read_letter(letter_id: str, raw: Hash | None) -> Letter:
    """Return the letter of a hash, as `read_hashes` yields it; raises Unreadable."""
    stored = StoredHash(f"Dead letter {letter_id}", f"nightly:letter:{letter_id}", raw)
    values = {item.name: _value(stored, item.name, item.type, item.default) for item in fields(Letter)}
    if values["id"] != letter_id:
        raise stored.unreadable("its field id is that of another one")
    if values["kind"] == "login" and not (values["login"] and values["instance"] and values["wish"]):
        raise stored.unreadable("it is about a login, and its field login, instance or wish is missing")
    return Letter(**values | {"wish": {"1": "on", "0": "off", "": ""}[values["wish"]]})


def _value(stored: StoredHash, name: str, kind: object, default: Any) -> Any:
    given = None if default is MISSING else default
    if kind is str:
        return stored.choice(name, _CHOICES[name], given) if name in _CHOICES else stored.text(name, given)
    if kind is int:
        return stored.number(name, given, at_most=LATEST_MS * 1000 if name == "occurred_us" else LATEST_MS)
    return stored.number_or_none(name)
