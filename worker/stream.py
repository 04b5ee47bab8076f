"""Reads `account-events:stream`, whose entries hold one CloudEvent, or an array of them, in the field `event`."""

from collections.abc import Sequence

from worker.entries import BLOCK_MS, EntryReader
from worker.entry_group import GROUP, Entry, entries_of
from worker.events import decode_documents, is_batch
from worker.intake import readable
from worker.ledger.views import STREAM


class StreamReader(EntryReader):
    """One worker's reader of the recommended way in."""

    stream = STREAM
    field = b"event"
    source = "stream"

    def _fresh(self) -> list[Entry]:
        return entries_of(self._redis.xreadgroup(GROUP, self._name, {STREAM: ">"}, count=self._at_most, block=BLOCK_MS))

    def _record(self, bodies: Sequence[bytes]) -> None:
        self._intake.accept_bodies(bodies)

    def _is_batch(self, body: bytes) -> bool:
        return is_batch(body)

    def _events_of(self, body: bytes) -> Sequence[bytes]:
        return [readable(document) for document in decode_documents(body)]
