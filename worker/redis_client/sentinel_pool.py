"""Keeps a pool of connections with the primary that the sentinels name, also while the former one still answers.

A primary that is cut off from its replicas goes on answering: what is written there is thrown away when it
comes back as a replica. A client that only reconnects when a connection breaks would stay with it all that
time; this one asks a sentinel once a second.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from redis.sentinel import SentinelConnectionPool

LOOK_SECONDS = 1.0
PATIENCE = 4
"""A look that took long is not repeated before so many times as long: sentinels that are away slow nobody down."""


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
