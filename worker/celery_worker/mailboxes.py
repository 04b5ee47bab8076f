"""Removes dead workers from kombu's list of remote-control mailboxes, which grows with every host that dies.

When a worker ends warmly, kombu removes its entry. Entries that no worker of ours reported are left alone.
"""

from typing import Any

from worker.broker.celery_config import KOMBU_SEPARATOR
from worker.clock import elapsed_seconds
from worker.redis_client.connect import BytesRedis

REPORTED = "nightly:mailboxes"
"""Sorted set on the broker: our workers' entries of kombu's list, scored by the time of the last report (ms)."""
REPORT_SECONDS = 15.0
SILENT_MS = 3_600_000
"""A worker silent for longer counts as dead. Remote control still reaches one that was only suspended."""
KEPT_MS = 30 * 86_400_000

_REPORT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2], 'LIMIT', 0, 100)
if #dead > 0 then
  redis.call('SREM', KEYS[1], unpack(dead))
  redis.call('ZREM', KEYS[2], unpack(dead))
end
"""


class Mailbox:
    """The mailbox of one worker: `app` is its Celery app, `hostname` its node name (`celery@host`)."""

    def __init__(self, client: BytesRedis, app: Any, hostname: str) -> None:
        queue = app.control.mailbox.get_queue(hostname)
        self._redis = client
        self._list = f"_kombu.binding.{queue.exchange.name}"
        self._entry = KOMBU_SEPARATOR.join(("", "", queue.name))
        self._next_report_at = 0.0

    def step(self) -> None:
        """Every REPORT_SECONDS, report the worker alive and remove up to 100 entries of dead ones.

        Raises redis.RedisError; then the next step tries again.
        """
        if elapsed_seconds() < self._next_report_at:
            return
        self._redis.eval(_REPORT, 2, self._list, REPORTED, self._entry, SILENT_MS, KEPT_MS)
        self._next_report_at = elapsed_seconds() + REPORT_SECONDS

    def forget(self) -> None:
        """Delete this worker's report when it ends; kombu removes the entry. Raises redis.RedisError."""
        self._redis.zrem(REPORTED, self._entry)
