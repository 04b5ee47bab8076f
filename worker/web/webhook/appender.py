"""Appends events to the stream that all workers read; a failure becomes a refusal with the time to retry after.

Every request that is refused here may be sent again unchanged, because workers record an event only once.
"""

import time
from http import HTTPStatus

import redis

from worker.errors import NotReplicated
from worker.events.publisher import send
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import trouble_of
from worker.web.webhook.problems import Refused

AWAY_SECONDS = 5
FULL_SECONDS = 30
REST_SECONDS = 1.0
"""Pause after a failed connection, in which requests are refused at once: a silent Redis blocks a thread for 10 s."""
_AWAY = "no event can be stored at the moment; send the request again"


class Appender:
    """Appends for one process. With `replicas`, it waits until that number of replicas has the events."""

    def __init__(self, client: BytesRedis, *, url: str, replicas: int) -> None:
        self._redis = client
        self._url = url
        self._replicas = replicas
        self._rests_until = 0.0

    def append(self, body: bytes) -> None:
        """Append one entry: an event, or an array of events; raises Refused."""
        if time.monotonic() < self._rests_until:
            raise _unavailable("unavailable", _AWAY, AWAY_SECONDS, reason="Redis could not be reached a moment ago")
        try:
            send(self._redis, [body], replicas=self._replicas)
        except NotReplicated as error:
            detail = "too few replicas have the events yet; send the request again"
            raise _unavailable("not_replicated", detail, AWAY_SECONDS, reason=str(error)) from None
        except redis.RedisError as error:
            if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._rests_until = time.monotonic() + REST_SECONDS
            if isinstance(error, redis.exceptions.ReadOnlyError):  # so the next request connects to the new primary
                self._redis.connection_pool.disconnect()
            is_full = isinstance(error, redis.exceptions.OutOfMemoryError)
            reason = str(trouble_of(error, self._url))
            raise _unavailable("unavailable", _AWAY, FULL_SECONDS if is_full else AWAY_SECONDS, reason=reason) from None


def _unavailable(code: str, detail: str, retry_after_seconds: int, *, reason: str) -> Refused:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Refused(status, code, detail, retry_after_seconds=retry_after_seconds, reason=reason)
