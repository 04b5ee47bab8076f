"""A real sentinel with its own password, in front of the session's Redis: both clients find the primary."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from sandbox.stack import EmbeddedRedis, ManagedProcess, OrphanGuard
from sandbox.stack.ports import free_port
from sandbox.stack.redis_binary import find_redis_binary
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.redis_client.connect import connect
from worker.redis_client.error_messages import trouble_of

PASSWORD = "sentinel-word"


@pytest.fixture
def redis_server(tcp_server: EmbeddedRedis) -> EmbeddedRedis:
    return tcp_server


@pytest.fixture
def sentinel_port(
    tmp_path: Path, redis_server: EmbeddedRedis, redis_url: str, orphan_guard: OrphanGuard
) -> Iterator[int]:
    assert redis_url
    port, config = free_port(), tmp_path / "sentinel.conf"
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {tmp_path}", f"requirepass {PASSWORD}"]
    lines += [f"sentinel monitor main 127.0.0.1 {redis_server.port} 1"]
    lines += [f"sentinel auth-pass main {redis_server.password}"]
    config.write_text("\n".join(lines) + "\n")
    argv = [find_redis_binary().path, str(config), "--sentinel"]
    process = ManagedProcess("sentinel", argv, env=os.environ, log_path=tmp_path / "log", guard=orphan_guard)
    try:
        process.start().wait_ready(lambda: "+monitor" in process.output(), seconds=30)
        yield port
    finally:
        process.stop()


def _answers(url: str) -> bool:
    with connect(url) as client:
        return bool(client.ping())


def test_both_clients_reach_the_primary_that_the_sentinel_names(
    sentinel_port: int, redis_server: EmbeddedRedis
) -> None:
    url = (
        f"sentinel://:{redis_server.password}@127.0.0.1:1,127.0.0.1:{sentinel_port}/main/0?sentinel_password={PASSWORD}"
    )
    eventually(lambda: _answers(url), seconds=20, describe="the ledger's client")
    broker, options = kombu_address(url)
    with Celery(broker=broker, set_as_current=False) as app:
        app.conf.broker_transport_options = options
        with app.connection_for_write() as connection:
            assert connection.default_channel.client.ping()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("main", "refuse our login. Check sentinel_username and sentinel_password in REDIS_URL."),
        ("main?sentinel_password=canary", "refuse our login. Check sentinel_username and sentinel_password"),
        (f"other?sentinel_password={PASSWORD}", "No primary is known to sentinels 127.0.0.1:"),
    ],
)
def test_a_sentinel_problem_is_reported_in_one_line(sentinel_port: int, path: str, told: str) -> None:
    url = f"sentinel://127.0.0.1:{sentinel_port}/{path}"
    with connect(url) as client, pytest.raises(redis.RedisError) as caught:
        client.ping()
    line = str(trouble_of(caught.value, url))
    assert told in line
    assert "canary" not in line
    assert PASSWORD not in line
