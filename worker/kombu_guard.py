"""Keeps a worker alive when Redis goes away under it: a guard for one fault of kombu 5.7.0.

With a message in flight and the connection gone, kombu 5.7.0 closes a channel whose transport has no
client any more and dies of an AttributeError, which Celery takes for unrecoverable. Raised as the
connection error it is, Celery reconnects as ever. Remove this when kombu has fixed it.
"""

from typing import Any

import redis
from kombu.transport import redis as kombu_redis


def guard_kombu() -> None:
    """Patch kombu's Redis channel, once."""
    channel_class: Any = kombu_redis.Channel
    original = channel_class._connparams  # noqa: SLF001 - the faulty function has no public face
    if getattr(original, "is_guarded", False):
        return

    def guarded(channel: Any, **options: Any) -> Any:
        if channel.connection is None or channel.connection.client is None:
            raise redis.ConnectionError("the transport was closed")
        return original(channel, **options)

    guarded.is_guarded = True  # type: ignore[attr-defined] # a mark for the test above
    channel_class._connparams = guarded  # noqa: SLF001
