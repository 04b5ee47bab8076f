"""Reads a Redis stream with a consumer group: records or rejects each entry, then acknowledges and deletes it.

Unlike a Redis list, a stream keeps an entry pending until it is acknowledged, so a reader killed at any point loses
nothing: another reader takes over its entries within seconds, one at a time, because one of them may have killed it.

`accept.py` rejects a body that is not JSON; an entry without a body is rejected here. An entry larger than
LARGEST_ENTRY_BYTES gets a dead letter, stays in Redis under a key of its own, and is never loaded. One that was deleted
while its reader had it is acknowledged, and counted as vanished. `poison.py` decides about the entries of dead readers,
and about those that raise.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import redis

from worker.errors import InvalidEvent
from worker.events.channels import STREAM
from worker.events.contract import MAX_BODY_BYTES, decode_documents, is_batch
from worker.intake.accept import Intake, Rejection
from worker.intake.messages import to_json
from worker.intake.poison import Deliveries, Treatment, handle_or_set_aside, treatment
from worker.intake.stream_account import StreamAccount
from worker.intake.stream_group import GROUP, Entry, EntryGroup, Suspect, entries_of, entry_of
from worker.redis_client.connect import BytesRedis

READ_AT_MOST = 200
READ_AT_FIRST = 10
READ_BYTES = 8_388_608
"""Limit for one read, on the assumption that each entry is as large as the largest one of the last read."""
TAKE_IN_BYTES = 262_144
"""Bodies are recorded and acknowledged in portions of about this size."""
LARGEST_ENTRY_BYTES = 2 * MAX_BODY_BYTES
"""More than any event: a Celery message holds its body in base64, which adds a third."""
BLOCK_MS = 300
"""How long one read waits for entries. Higher delays a worker's stop; lower sends an idle Redis more commands."""


class EntryReader(ABC):
    """One consumer of the group of `stream`; `name` must be unique among live readers."""

    stream: str
    field: bytes
    """The field of an entry that holds the body."""
    source: str
    """The `source` of a dead letter that no message of intake names."""
    reads: str
    """The stream or queue that `celery inspect` shows."""
    unreachable = "ledger_unreachable"
    """The log event when Redis is away."""

    def __init__(
        self,
        client: BytesRedis,
        intake: Intake,
        deliveries: Deliveries,
        *,
        name: str,
        on_recorded: Callable[[], None],
    ) -> None:
        self._redis = client
        self._intake = intake
        self._deliveries = deliveries
        self._on_recorded = on_recorded
        self._name = name
        self._group = EntryGroup(client, self.stream, name)
        self._account = StreamAccount(client, self.stream, GROUP)
        self._has_tidied_up = False
        self._held: list[Entry] = []
        self._suspect: Suspect | None = None
        self._at_most = READ_AT_FIRST

    @abstractmethod
    def _fresh(self) -> list[Entry]:
        """Return entries that no reader had yet, waiting up to BLOCK_MS for them."""

    @abstractmethod
    def _record(self, bodies: Sequence[bytes]) -> None:
        """Record or reject every event of these bodies."""

    def _is_batch(self, body: bytes) -> bool:
        """Say whether a body may hold several events, without decoding it."""
        del body
        return False

    def _events_of(self, body: bytes) -> Sequence[bytes]:
        """Return the events of a batch, each as a body of its own; raises InvalidEvent if it cannot be decoded."""
        return [body]

    def join(self) -> None:
        """Create the group if it is missing, from entry 0, so that entries older than the first worker count too."""
        self._group.join()

    def beat(self) -> None:
        """Renew the heartbeat; another thread calls this too, so that a long step does not look like a death."""
        self._group.beat()

    def leave(self) -> None:
        """Sign off in good order, which is not counted as a death; others may take over held entries at once."""
        if self._suspect is not None and self._suspect.deaths:
            self._deliveries.put_down(self._name_of(self._suspect))
        self._group.leave()

    def step(self) -> int:
        """Take in one portion of entries, waiting up to BLOCK_MS for them; returns their number. Raises RedisError.

        Entries that could not be recorded are held, and tried first in the next step.
        """
        self._group.beat()
        self._account.step()
        try:
            if not self._held:
                self._suspect = self._suspect or self._claim_suspect()
                self._held = [] if self._suspect else self._measured(self._fresh())
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self.join()  # the stream was deleted, or Redis came back empty
            return 0
        if self._suspect is None:
            return self._take_portion()
        self._judge(self._suspect)
        self._suspect = None
        self._on_recorded()
        return 1

    def _claim_suspect(self) -> Suspect | None:
        suspect = self._group.claim_next()
        if not self._has_tidied_up:
            self._group.forget_the_gone()
            self._has_tidied_up = True
        return suspect

    def _take_portion(self) -> int:
        portion = _portion(self._held)
        count = len(portion)
        if count:
            self._take_in(portion)
            del self._held[:count]
            self._on_recorded()
        return count

    def _judge(self, suspect: Suspect) -> None:
        """Handle an entry that may have killed its reader; counted before its body is fetched."""
        name = self._name_of(suspect)
        if suspect.deaths is None:  # else an earlier step counted it, and could not record it
            suspect.deaths = self._deliveries.take_in_hand(name) if suspect.is_orphan else 0
        found = self._group.fetch(suspect.id, at_most_bytes=LARGEST_ENTRY_BYTES)
        if found is None:
            self._group.give_up(suspect.id)
        elif isinstance(found, int):
            self._move_aside(suspect.id, found)
        else:
            self._take_alone(entry_of(suspect.id, found), suspect.deaths)
        self._deliveries.let_go(name)

    def _name_of(self, suspect: Suspect) -> str:
        return f"{self.source}:{suspect.id.decode()}"

    def _take_alone(self, entry: Entry, deaths: int) -> None:
        entry_id, fields, _ = entry
        body = fields.get(self.field)
        if body is None:
            self._take_in([entry])
            return
        decided = treatment(deaths, is_batch=self._is_batch(body))
        if decided is Treatment.SET_ASIDE:
            self._set_aside(body, Deliveries.REASON)
            self._group.acknowledge([entry_id])
        elif not (decided is Treatment.SPLIT and self._split(entry_id, body)):
            self._take_in([entry])

    def _split(self, entry_id: bytes, body: bytes) -> bool:
        """Replace a batch by an entry for each event; False: it cannot be decoded, or the stream takes no new entry."""
        try:
            events = self._events_of(body)
        except InvalidEvent:
            return False
        return self._group.replace(entry_id, self.field, events)

    def _move_aside(self, entry_id: bytes, size: int) -> None:
        """Move an entry that is too large for a worker to a key of its own, which a dead letter names."""
        if self._intake.reject_oversize(source=self.source, size=size, key=self._group.oversize_key(entry_id)):
            self._group.move_aside(entry_id)
        else:
            self._group.acknowledge([entry_id])

    def _measured(self, entries: list[Entry]) -> list[Entry]:
        """Choose how many entries to read next, so that large ones do not exhaust the worker's memory."""
        if entries:
            largest = max(size for _, _, size in entries)
            self._at_most = max(1, min(READ_AT_MOST, 2 * self._at_most, READ_BYTES // max(1, largest)))
        return entries

    def _take_in(self, entries: Sequence[Entry]) -> None:
        done, bodies, rejections = [], [], []
        for entry_id, fields, size in entries:
            if size > LARGEST_ENTRY_BYTES:
                self._move_aside(entry_id, size)
                continue
            done.append(entry_id)
            if (body := fields.get(self.field)) is None:
                error = InvalidEvent(f"{self.field.decode()}: the stream entry has no such field")
                rejections.append(Rejection(error, self.source, repr(dict(fields)).encode()))
            else:
                bodies.append(body)
        self._intake.reject(rejections)
        if bodies:
            handle_or_set_aside(bodies, self._record, self._set_aside, where=self.source)
        self._group.acknowledge(done)

    def _set_aside(self, body: bytes, reason: str) -> None:
        """Keep a body on the review list beyond its limits, because it may hold valid events."""
        self._intake.reject([Rejection(InvalidEvent(reason), self.source, body, must_keep=True)])


class StreamReader(EntryReader):
    """One worker's reader of `account-events:stream`: CloudEvents, one or an array in the field `event`."""

    stream = STREAM
    field = b"event"
    source = "stream"
    reads = STREAM

    def _fresh(self) -> list[Entry]:
        return entries_of(self._redis.xreadgroup(GROUP, self._name, {STREAM: ">"}, count=self._at_most, block=BLOCK_MS))

    def _record(self, bodies: Sequence[bytes]) -> None:
        self._intake.accept_bodies(bodies)

    def _is_batch(self, body: bytes) -> bool:
        return is_batch(body)

    def _events_of(self, body: bytes) -> Sequence[bytes]:
        return [to_json(document) for document in decode_documents(body)]


def _portion(entries: Sequence[Entry]) -> Sequence[Entry]:
    total = 0
    for count, (_, _, size) in enumerate(entries, start=1):
        total += size
        if total >= TAKE_IN_BYTES:
            return entries[:count]
    return entries
