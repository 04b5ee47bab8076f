"""Connects to Redis with the ledger's options: replies as bytes, timeouts, detection of dead connections."""

from typing import Any

from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.redis_client.client import Client, Pool
from worker.redis_client.sentinel_pool import PrimaryPool
from worker.redis_client.sentinel_url import SentinelAddress

BytesRedis = Any
"""A `redis.Redis` that returns bytes. redis-py types every reply as `bytes | str`, so there is no exact type."""

TIMEOUTS: dict[str, Any] = {
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
SENTINEL_OPTIONS: dict[str, Any] = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "retry": Retry(NoBackoff(), 0),
}
"""Short timeouts: if a sentinel does not answer at once, the next one is asked."""


def connect(url: str, *, name: str = "nightly") -> BytesRedis:
    """Return a client for `redis://`, `rediss://`, `unix://` or `sentinel://`; connects at first use.

    One quick retry covers a connection that the server closed while idle; callers handle other errors.
    `sentinel://[user:password@]host:port[,host:port]/service[/db]` asks the sentinels for the primary.
    """
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=1)
    options = {**TIMEOUTS, "client_name": name, "retry": retry}
    if url.startswith("unix://"):
        options.pop("socket_keepalive")
    if url.startswith("sentinel://"):
        return _through_sentinel(url, options)
    return Client.from_pool(Pool.from_url(url, **options))


def server_ms(client: BytesRedis) -> int:
    """Return the clock of Redis in milliseconds since 1970; raises redis.RedisError."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _through_sentinel(url: str, options: dict[str, Any]) -> BytesRedis:
    address = SentinelAddress.read(url)
    sentinel: Any = Sentinel(address.nodes, sentinel_kwargs={**SENTINEL_OPTIONS, **address.sentinel_login})  # type: ignore[no-untyped-call] # redis-py has no types here
    return sentinel.master_for(
        address.service,
        redis_class=Client,
        connection_pool_class=PrimaryPool,
        db=address.database,
        username=address.username,
        password=address.password,
        **options,
    )
