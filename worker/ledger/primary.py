"""Keeps a pool of connections with the primary that the sentinels name, also while the former one still answers.

A primary that is cut off from its replicas goes on answering: what is written there is thrown away when it
comes back as a replica. A client that only reconnects when a connection breaks would stay with it all that
time; this one asks a sentinel once a second.
"""

import time
from contextlib import suppress
from typing import Any

import redis
from redis.sentinel import SentinelConnectionPool

LOOK_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 10.0
"""After no sentinel answered: waiting for them holds up the caller."""


class PrimaryPool(SentinelConnectionPool):
    """A pool whose connections lead to the primary of a moment ago at most."""

    _next_look = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Return a connection to the primary; raises redis.RedisError."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_AGAIN_SECONDS
            with suppress(redis.RedisError):  # no sentinel answers: what was the primary will do
                self.get_master_address()  # type: ignore[no-untyped-call] # drops idle connections to another one
                self._next_look = now + LOOK_SECONDS
        return super().get_connection(*args, **options)
