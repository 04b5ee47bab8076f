"""Reads `account-events:stream`, whose entries hold one CloudEvent, or an array of them, in the field `event`."""

from collections.abc import Sequence

from worker.events.channels import STREAM
from worker.events.contract import decode_documents, is_batch
from worker.intake.messages import readable
from worker.intake.redis_stream import BLOCK_MS, EntryReader
from worker.intake.stream_group import GROUP, Entry, entries_of


class StreamReader(EntryReader):
    """One worker's reader of the recommended way in."""

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
        return [readable(document) for document in decode_documents(body)]
