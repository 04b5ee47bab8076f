"""Looks up which instances the live workers have, so that a producer can refuse an event for any other one.

A worker writes its instances into its heartbeat. A Redis user of a producer may not be allowed to read it; then, and
while no worker is alive, every instance passes here.
"""

import json
import time
from weakref import WeakKeyDictionary

from redis.exceptions import NoPermissionError

from worker.redis_client.connect import BytesRedis

WORKERS = "nightly:workers"
SILENT_MS = 10_000
"""A worker without a heartbeat for longer than this does not count as live, as in common.lua."""
LOOK_AGAIN_SECONDS = 10.0
_LOOKS: "WeakKeyDictionary[BytesRedis, tuple[float, frozenset[str] | None]]" = WeakKeyDictionary()
"""For each client, when the instances were read last, and what they were."""


def instances_of_workers(client: BytesRedis, wanted: str) -> frozenset[str] | None:
    """Return the instances of all live workers; None if they are not known.

    They are read again after LOOK_AGAIN_SECONDS if `wanted` is not among them. Raises redis.RedisError.
    """
    read_at, known = _LOOKS.get(client, (float("-inf"), None))
    if wanted not in (known or ()) and time.monotonic() - read_at >= LOOK_AGAIN_SECONDS:
        known = _read(client)
        _LOOKS[client] = time.monotonic(), known
    return known


def _read(client: BytesRedis) -> frozenset[str] | None:
    try:
        heartbeats = [json.loads(raw) for raw in client.hgetall(WORKERS).values()]
        seconds, _ = client.time() if heartbeats else (0, 0)
    except NoPermissionError:
        return None
    live = [about for about in heartbeats if int(seconds) * 1000 - about["at"] <= SILENT_MS]
    if not all("instances" in about for about in live):
        return None
    return frozenset(name for about in live for name in about["instances"]) or None
