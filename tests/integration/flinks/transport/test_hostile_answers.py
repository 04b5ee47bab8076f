"""Hostile and odd answers: each call ends at once, takes little memory, and is never answered by bytes of another."""

import asyncio
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.integration.flinks.transport.calls import Answered, Failed, call, opened, until
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.hostile_answers import (
    ENDLESS,
    EVIL,
    GOOD,
    LENGTHS,
    LONG,
    NEXT,
    NOT_HTTP,
    ODD,
    Ends,
)
from tests.integration.flinks.transport.scripted import Step, read, scripted, send, wait
from tests.integration.misbehaving import reply
from worker.flinks.failures import FailureKind, Progress

SECONDS = 2
AT_MOST_BYTES = 8 << 20
"""Ours and the server's, which runs in the same process."""
ALL = ENDLESS | LONG | LENGTHS | NOT_HTTP | ODD


@pytest.mark.parametrize(("step", "ends"), ALL.values(), ids=ALL)
def test_a_hostile_answer_ends_its_own_call_and_is_never_part_of_the_next_one(
    run: Run[None], tmp_path: Path, step: Step, ends: Ends
) -> None:
    then = (read, send(NEXT), wait) if ends.is_reused is not False else (wait,)

    async def main() -> None:
        make = scripted(read, step, *then, later=(read, send(NEXT), wait))
        async with make(tmp_path) as place, opened(place.url) as transport:
            began = time.monotonic()
            assert ending(await call(transport, place.url)) == ends.ended
            assert time.monotonic() - began < SECONDS
            if ends.is_reused is False:
                assert transport.idle_connections == 0
                await until(lambda: place.is_left)
            assert ending(await call(transport, place.url)) == (200, b'"next"')
            assert ends.is_reused is None or place.connections == (1 if ends.is_reused else 2)

    run(main())


def ending(ended: Answered | Failed) -> Failed | tuple[int, bytes]:
    return ended if isinstance(ended, Failed) else (ended.status, ended.body)


@pytest.mark.parametrize("step", [step for step, _ in ENDLESS.values()], ids=ENDLESS)
def test_an_endless_answer_takes_little_memory(run: Run[None], tmp_path: Path, step: Step) -> None:
    async def main() -> None:
        async with scripted(read, step, wait)(tmp_path) as place, opened(place.url) as transport:
            tracemalloc.start()
            try:
                await call(transport, place.url)
                assert tracemalloc.get_traced_memory()[1] < AT_MOST_BYTES
            finally:
                tracemalloc.stop()

    run(main())


def test_an_answer_to_no_request_closes_the_idle_connection(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        may_go_on = asyncio.Event()

        async def pause(*_: object) -> None:
            await may_go_on.wait()

        make = scripted(read, send(GOOD), pause, send(EVIL), wait, later=(read, send(NEXT), wait))
        async with make(tmp_path) as place, opened(place.url) as transport:
            assert ending(await call(transport, place.url)) == (200, b'"good"')
            assert transport.idle_connections == 1
            may_go_on.set()
            await until(lambda: place.is_left)
            assert transport.idle_connections == 0
            assert ending(await call(transport, place.url)) == (200, b'"next"')

    run(main())


def test_an_answer_before_the_request_answers_at_most_that_request(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        make = scripted(send(EVIL), read, wait, later=(read, send(NEXT), wait))
        async with make(tmp_path) as place, opened(place.url) as transport:
            early = ending(await call(transport, place.url))
            assert early in {(200, b'"evil"'), Failed(FailureKind.CLOSED, Progress.CONNECTED)}

    run(main())


def test_no_cookie_is_sent_back(run: Run[None], tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def read_head(_: object, reader: asyncio.StreamReader, __: object) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(2)

    answer = send(reply(b"x", "200 OK", "set-cookie: a=b; path=/"))

    async def main() -> None:
        async with (
            scripted(read_head, answer, read_head, answer, wait)(tmp_path) as place,
            opened(place.url) as transport,
        ):
            for _ in range(2):
                await call(transport, place.url)

    run(main())
    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()
