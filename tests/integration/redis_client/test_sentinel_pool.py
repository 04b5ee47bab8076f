"""A pool follows the sentinels even while the former primary still answers, and stays if no sentinel answers."""

import time
from typing import Any

import pytest
import redis
from redis import Redis

from sandbox.stack import EmbeddedRedis
from worker.redis_client import sentinel_pool as primary
from worker.redis_client.sentinel_pool import PrimaryPool, next_look


class Sentinels:
    """Name a primary, or do not answer."""

    def __init__(self, host: str, port: int) -> None:
        self.named: tuple[str, int] | None = (host, port)

    def discover_master(self, service: str) -> tuple[str, int]:
        assert service == "main"
        if self.named is None:
            raise redis.sentinel.MasterNotFoundError
        return self.named


@pytest.fixture
def redis_server(tcp_server: EmbeddedRedis) -> EmbeddedRedis:
    return tcp_server


@pytest.fixture
def sentinels(redis_server: EmbeddedRedis, redis_url: str) -> Sentinels:
    assert redis_url
    return Sentinels("127.0.0.1", redis_server.port)


def _host(client: Redis) -> str:
    pool: Any = client.connection_pool
    assert client.ping()
    (connection,) = pool._available_connections
    return str(connection.host)


def test_a_working_connection_is_dropped_when_another_server_becomes_the_primary(
    sentinels: Sentinels, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(primary, "PATIENCE", 0)
    pool: Any = PrimaryPool("main", sentinels, password=redis_server.password)  # type: ignore[no-untyped-call]
    with Redis.from_pool(pool) as client:
        assert _host(client) == "127.0.0.1"
        sentinels.named = ("localhost", sentinels.named[1] if sentinels.named else 0)  # the same server, another name
        assert _host(client) == "localhost"
        sentinels.named = None
        assert _host(client) == "localhost"


def test_no_sentinel_is_contacted_between_two_lookups(sentinels: Sentinels, redis_server: EmbeddedRedis) -> None:
    pool: Any = PrimaryPool("main", sentinels, password=redis_server.password)  # type: ignore[no-untyped-call]
    with Redis.from_pool(pool) as client:
        assert _host(client) == "127.0.0.1"
        sentinels.named = ("nobody.invalid", 1)
        assert _host(client) == "127.0.0.1"


def test_slow_sentinels_are_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 103.0])
    monkeypatch.setattr(primary.time, "monotonic", lambda: next(clock))
    assert next_look(lambda: None) == 115.0
    monkeypatch.undo()
    assert next_look(lambda: None) - time.monotonic() == pytest.approx(primary.LOOK_SECONDS, abs=0.5)
