"""Keeps Celery's consumer with the primary that the sentinels name; `redis_client/sentinel_pool.py` does the ledger's.

kombu keeps one connection for BRPOP, one for remote control and a pool for the rest, and asks the sentinels
only when one breaks. A former primary that is cut off from the others goes on answering: what is sent there is
lost, what is sent to the new one waits. The primary is looked up between two BRPOPs, when no message is in transit.
"""

import time
from typing import Any

from kombu.transport import redis as kombu_redis

from worker.redis_client.sentinel_pool import PrimaryPool, next_look


def follow_primary() -> None:
    """Patch kombu's poller and its sentinel channel, once; other transports are not touched."""
    poller_class: Any = kombu_redis.MultiChannelPoller
    channel_class: Any = kombu_redis.SentinelChannel
    register, make_pool = poller_class._register_BRPOP, channel_class._sentinel_managed_pool  # noqa: SLF001 - no public face
    if getattr(register, "is_following", False):
        return

    def following(poller: Any, channel: Any) -> Any:
        if isinstance(channel, channel_class) and not channel._in_poll:  # noqa: SLF001 - between two BRPOPs
            look(channel)
        return register(poller, channel)

    def primary_pool(channel: Any, *args: Any, **options: Any) -> Any:
        pool = make_pool(channel, *args, **options)
        pool.__class__ = PrimaryPool  # which adds a look, and no state that __init__ would have to make
        return pool

    following.is_following = True  # type: ignore[attr-defined] # a mark for the test above
    poller_class._register_BRPOP = following  # noqa: SLF001
    channel_class._sentinel_managed_pool = primary_pool  # noqa: SLF001


def look(channel: Any) -> None:
    """Drop the connections of a channel that lead to a former primary; once a second at most."""
    if time.monotonic() >= getattr(channel, "nightly_looks_at", 0.0):
        channel.nightly_looks_at = next_look(lambda: _leave_former_primary(channel))


def _leave_former_primary(channel: Any) -> None:
    primary = channel.async_pool.get_master_address()
    for name in ("client", "subclient"):  # a channel that uses neither has not made it
        connection = getattr(channel.__dict__.get(name), "connection", None)
        if connection is not None and connection._sock and (connection.host, connection.port) != primary:  # noqa: SLF001
            connection.disconnect()
