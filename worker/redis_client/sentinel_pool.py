"""A connection pool that follows the primary that the sentinels name, even while the former primary still answers.

A primary that is cut off from its replicas still accepts writes, and loses them when it returns as a replica. A client
that reconnects only when a connection breaks would stay with it; this pool asks a sentinel once a second.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from redis.sentinel import SentinelConnectionPool

LOOK_SECONDS = 1.0
PATIENCE = 4
"""Back off this many times the duration of the last lookup, so that unreachable sentinels do not slow calls down."""


class PrimaryPool(SentinelConnectionPool):
    """A pool whose connections lead to the primary of a moment ago at most."""

    _next_look = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Return a connection to the primary; raises redis.RedisError."""
        if time.monotonic() >= self._next_look:
            self._next_look = next_look(self.get_master_address)
        return super().get_connection(*args, **options)


def next_look(look: Callable[[], object]) -> float:
    """Ask the sentinels, and return when (monotonic) to ask again; what was the primary will do if none answers.

    `look` is a pool's `get_master_address`, which drops the pool's idle connections to another server.
    """
    began = time.monotonic()
    with suppress(redis.RedisError):
        look()
    took = time.monotonic() - began
    return began + took + max(LOOK_SECONDS, PATIENCE * took)
