"""Reads `account-events:stream`, whose entries hold one CloudEvent, or an array of them, in the field `event`."""

from collections.abc import Mapping, Sequence

from worker.entries import BLOCK_MS, GROUP, Entry, EntryReader
from worker.ledger.views import STREAM


class StreamReader(EntryReader):
    """One worker's reader of the recommended way in."""

    stream = STREAM
    field = b"event"
    source = "stream"

    def _fresh(self) -> list[Entry]:
        return _entries_of(
            self._redis.xreadgroup(GROUP, self._name, {STREAM: ">"}, count=self._at_most, block=BLOCK_MS)
        )

    def _record(self, bodies: Sequence[bytes]) -> None:
        self._intake.accept_bodies(bodies)


def _entries_of(reply: object) -> list[Entry]:
    """Read XREADGROUP's reply: pairs under RESP2, a mapping with one more list around under RESP3."""
    if isinstance(reply, Mapping):
        return [entry for pages in reply.values() for page in pages for entry in page]
    if isinstance(reply, list):
        return [entry for _, entries in reply for entry in entries]
    return []
