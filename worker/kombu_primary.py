"""Keeps Celery's consumer with the primary that the sentinels name: what `ledger/primary.py` does for the ledger.

kombu keeps one connection for BRPOP and one for remote control, and asks the sentinels only when one breaks.
A former primary that is cut off from the others goes on answering it, so messages sent to the new one would
wait until the network is mended. Between two BRPOPs no message is on its way, so that is when we look.
"""

import time
from contextlib import suppress
from typing import Any

import redis
from kombu.transport import redis as kombu_redis

LOOK_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 10.0
"""After no sentinel answered: waiting for them holds up the consumer."""


def follow_primary() -> None:
    """Patch kombu's poller, once; only channels that go through sentinels are touched."""
    poller_class: Any = kombu_redis.MultiChannelPoller
    original = poller_class._register_BRPOP  # noqa: SLF001 - the moment between two BRPOPs has no public face
    if getattr(original, "is_following", False):
        return

    def following(poller: Any, channel: Any) -> Any:
        if hasattr(channel, "master_name") and not channel._in_poll:  # noqa: SLF001
            look(channel)
        return original(poller, channel)

    following.is_following = True  # type: ignore[attr-defined] # a mark for the test above
    poller_class._register_BRPOP = following  # noqa: SLF001


def look(channel: Any) -> None:
    """Drop the connections of a channel that lead to a former primary; at most once a second."""
    now = time.monotonic()
    if now < getattr(channel, "nightly_looks_at", 0.0):
        return
    channel.nightly_looks_at = now + LOOK_AGAIN_SECONDS
    with suppress(redis.RedisError):
        primary = channel.async_pool.get_master_address()
        channel.pool.get_master_address()
        for client in (channel.client, channel.subclient):
            connection = client.connection
            if connection is not None and connection._sock and (connection.host, connection.port) != primary:  # noqa: SLF001
                connection.disconnect()
        channel.nightly_looks_at = now + LOOK_SECONDS
