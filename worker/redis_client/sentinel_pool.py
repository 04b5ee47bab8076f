"""A connection pool that follows the sentinels' primary, even while the former primary still answers.

A primary that is cut off from its replicas still accepts writes, and loses them when it rejoins as a replica. A client
that reconnects only after a broken connection would keep writing to it, so this pool asks a sentinel once a second.
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
    """A pool whose connections lead to the primary as of the last lookup."""

    _next_look = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Return a connection to the primary; raises redis.RedisError."""
        if time.monotonic() >= self._next_look:
            self._next_look = next_look(self.get_master_address)
        return super().get_connection(*args, **options)


def next_look(look: Callable[[], object]) -> float:
    """Ask the sentinels and return when (monotonic) to ask again. If no sentinel answers, the primary stays the same.

    `look` is a pool's `get_master_address`, which drops the pool's idle connections to any other server.
    """
    began = time.monotonic()
    with suppress(redis.RedisError):
        look()
    took = time.monotonic() - began
    return began + took + max(LOOK_SECONDS, PATIENCE * took)
