"""The client replaces connections that broke, leaves a child its own, and mixes no replies between threads."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from worker.redis_client.connect import connect


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with connect(redis_url, name="under-test") as client:
        yield client


def kill_connections_of(redis_client: redis.Redis, name: str) -> int:
    """Close these connections at the server; returns how many."""
    ids = [int(one["id"]) for one in redis_client.client_list() if one["name"] == name]
    return sum(redis_client.client_kill_filter(_id=one) for one in ids)


def test_one_idle_connection_serves_one_command_after_another(client: Any) -> None:
    assert client.client_id() == client.client_id()


def test_a_connection_that_the_server_closed_is_replaced(client: Any, redis_client: redis.Redis) -> None:
    assert client.ping()
    assert kill_connections_of(redis_client, "under-test") == 1
    assert client.ping()


def test_a_connection_with_a_reply_that_nobody_read_is_replaced(client: Any) -> None:
    connection = client.connection_pool.get_connection()
    connection.send_command("ECHO", "stale")
    assert connection.can_read(timeout=5)
    client.connection_pool.release(connection)
    assert client.echo("new") == b"new"


def test_a_command_is_sent_once_more_when_its_connection_breaks(
    client: Any, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.ping()
    monkeypatch.setattr(redis.connection.Connection, "can_read", lambda *_, **__: False)
    monkeypatch.setattr(redis.connection.UnixDomainSocketConnection, "can_read", lambda *_, **__: False)
    assert kill_connections_of(redis_client, "under-test") == 1
    assert client.incr("counter") == 1


def test_a_refused_command_leaves_its_connection_in_use(client: Any) -> None:
    before = client.client_id()
    with pytest.raises(redis.ResponseError):
        client.execute_command("NOSUCHCOMMAND")
    assert client.client_id() == before


def test_replies_go_to_the_thread_that_asked(client: Any) -> None:
    with ThreadPoolExecutor(8) as threads:
        words = [str(number) for number in range(500)]
        assert list(threads.map(client.echo, words)) == [word.encode() for word in words]


def test_a_forked_child_opens_a_connection_of_its_own(client: Any) -> None:
    before = client.client_id()
    reads, writes = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writes, str(client.client_id()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reads, 20)) != before
    assert client.client_id() == before
    for end in (reads, writes):
        os.close(end)
