"""Makes Celery's consumer follow the sentinels' primary, as `redis_client/sentinel_pool.py` does for the ledger.

kombu keeps one connection for BRPOP, one for remote control and a pool for the rest, and asks the sentinels only when
one breaks. A former primary that is cut off from the others keeps answering: messages sent to it are lost, and messages
sent to the new primary wait. The patch looks the primary up between two BRPOPs, when no message is in transit.
"""

import time
from typing import Any

from kombu.transport import redis as kombu_redis

from worker.redis_client.sentinel_pool import PrimaryPool, next_look


def follow_primary() -> None:
    """Patch kombu's poller and its sentinel channel, once; other transports stay unchanged."""
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
        pool.__class__ = PrimaryPool  # adds a lookup and no state that __init__ would have to create
        return pool

    following.is_following = True  # type: ignore[attr-defined] # a mark for the test above
    poller_class._register_BRPOP = following  # noqa: SLF001
    channel_class._sentinel_managed_pool = primary_pool  # noqa: SLF001


def look(channel: Any) -> None:
    """Drop a channel's connections to a former primary, at most once a second."""
    if time.monotonic() >= getattr(channel, "nightly_looks_at", 0.0):
        channel.nightly_looks_at = next_look(lambda: _leave_former_primary(channel))


def _leave_former_primary(channel: Any) -> None:
    primary = channel.async_pool.get_master_address()
    for name in ("client", "subclient"):  # both are created at first use
        connection = getattr(channel.__dict__.get(name), "connection", None)
        if connection is not None and connection._sock and (connection.host, connection.port) != primary:  # noqa: SLF001
            connection.disconnect()
