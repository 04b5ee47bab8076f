"""Commands from an event loop: the loop stays free while Redis waits, and no reply is lost or mixed up."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis

from tests.integration.redis_client.test_client import kill_connections_of
from tests.waiting import eventually
from worker.event_loop import new_event_loop
from worker.redis_client import in_loop
from worker.redis_client.connect import connect
from worker.redis_client.in_loop import run_in_loop

BOTH = pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, new_event_loop])


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with connect(redis_url, name="under-test") as client:
        yield client


def run(main: Callable[[], Awaitable[Any]], loop_factory: Any = None) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(main(), 10)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(bounded())


@BOTH
def test_the_loop_is_free_while_redis_waits(client: Any, loop_factory: Any) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(
            run_in_loop(client, ("BLPOP", "list", 5), ("INCR", "counter"), threads=None, wait_seconds=5)
        )
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert await run_in_loop(client, ("RPUSH", "list", "x"), threads=None) == [1]
        assert await waiting == [[b"list", b"x"], 1]

    run(main, loop_factory)


def test_a_large_reply_arrives_whole(client: Any) -> None:
    client.set("large", b"x" * 5_000_000)
    (reply,) = run(lambda: run_in_loop(client, ("GET", "large"), threads=None))
    assert len(reply) == 5_000_000


def test_an_error_is_a_reply_and_the_connection_stays(client: Any) -> None:
    before = client.client_id()
    client.set("text", "x")
    refused, answered = run(lambda: run_in_loop(client, ("INCR", "text"), ("PING",), threads=None))
    assert isinstance(refused, redis.ResponseError)
    assert answered == b"PONG"
    assert client.client_id() == before


def test_commands_are_sent_once_more_when_the_connection_breaks(client: Any, redis_client: redis.Redis) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(run_in_loop(client, ("BLPOP", "list", 9), threads=None, wait_seconds=9))
        await asyncio.to_thread(eventually, lambda: kill_connections_of(redis_client, "under-test"))
        redis_client.rpush("list", "x")
        assert await waiting == [[b"list", b"x"]]

    run(main)


@BOTH
def test_a_wait_goes_on_after_others_closed_all_connections(
    client: Any, redis_client: redis.Redis, loop_factory: Any
) -> None:
    """The socket was watched by a descriptor that had been closed, so nothing ended the wait."""

    async def main() -> None:
        waiting = asyncio.create_task(run_in_loop(client, ("BLPOP", "list", 5), threads=None, wait_seconds=5))
        await asyncio.sleep(0.1)
        client.connection_pool.disconnect()
        await asyncio.sleep(0.1)
        redis_client.rpush("list", "x")
        assert await asyncio.wait_for(waiting, 2) == [[b"list", b"x"]]

    run(main, loop_factory)


def test_a_server_that_does_not_answer_is_given_up(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(in_loop.TIMEOUTS, "socket_timeout", 0.1)
    before = client.client_id()
    with pytest.raises(redis.TimeoutError):
        run(lambda: run_in_loop(client, ("BLPOP", "list", 5), threads=None))
    assert client.client_id() != before


def test_a_cancelled_call_leaves_no_reply_behind(client: Any) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(run_in_loop(client, ("BLPOP", "list", 5), threads=None, wait_seconds=5))
        await asyncio.sleep(0.1)
        waiting.cancel()
        assert await run_in_loop(client, ("ECHO", "new"), threads=None) == [b"new"]

    run(main)
