"""Looks up which instances the live workers have, so that a producer can refuse an event for any other one.

A worker writes its instances into its heartbeat. A Redis user of a producer may not be allowed to read it; then, and
while no worker is alive, the instances are not known.
"""

import json
import time

from redis.exceptions import NoPermissionError

from worker.redis_client.connect import BytesRedis

WORKERS = "nightly:workers"
SILENT_MS = 10_000
"""A worker without a heartbeat for longer than this does not count as live, as in common.lua."""
LOOK_AGAIN_SECONDS = 10.0


class WorkerInstances:
    """The instances of the live workers behind one Redis client."""

    def __init__(self, client: BytesRedis) -> None:
        self._redis = client
        self._known: frozenset[str] | None = None
        self._look_again_at = 0.0

    def find(self, wanted: str) -> frozenset[str] | None:
        """Return the instances of all live workers; None if they are not known.

        They are read again after LOOK_AGAIN_SECONDS if `wanted` is not among them. Raises redis.RedisError.
        """
        if wanted not in (self._known or ()) and time.monotonic() >= self._look_again_at:
            self._known = self._read()
            self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS
        return self._known

    def _read(self) -> frozenset[str] | None:
        try:
            heartbeats = [json.loads(raw) for raw in self._redis.hgetall(WORKERS).values()]
            seconds, _ = self._redis.time() if heartbeats else (0, 0)
        except NoPermissionError:
            return None
        live = [about for about in heartbeats if int(seconds) * 1000 - about["at"] <= SILENT_MS]
        if not all("instances" in about for about in live):
            return None
        return frozenset(name for about in live for name in about["instances"]) or None
