"""One timer ends every call that outlives its deadline, and none other."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from worker.flinks.deadlines import LOOK_SECONDS, Deadlines

FOREVER = 3600.0


async def wait_within(deadlines: Deadlines, seconds: float, *, wait: float = FOREVER) -> str:
    try:
        with deadlines.within(seconds):
            await asyncio.sleep(wait)
    except TimeoutError:
        return "too late"
    return "in time"


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


def test_a_call_that_outlives_its_deadline_times_out_and_its_neighbours_go_on() -> None:
    async def work() -> list[str]:
        deadlines = Deadlines()
        calls = (wait_within(deadlines, 0.05), wait_within(deadlines, FOREVER, wait=0.2), wait_within(deadlines, 0.01))
        return await asyncio.gather(*calls)

    assert run(work()) == ["too late", "in time", "too late"]


def test_the_timer_rests_while_no_call_is_made_and_wakes_with_the_next() -> None:
    async def work() -> str:
        deadlines = Deadlines()
        await wait_within(deadlines, FOREVER, wait=0)
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert not deadlines._is_looking
        return await wait_within(deadlines, 0.01)

    assert run(work()) == "too late"


def test_a_cancellation_from_elsewhere_is_no_timeout() -> None:
    async def work() -> None:
        task = asyncio.create_task(wait_within(Deadlines(), FOREVER))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(work())


def test_a_cancellation_that_meets_the_deadline_stays_a_cancellation() -> None:
    async def work() -> None:
        deadlines = Deadlines()
        task = asyncio.create_task(wait_within(deadlines, FOREVER))
        await asyncio.sleep(0)
        task.cancel()
        next(iter(deadlines._open)).expire()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(work())


def test_an_error_of_the_call_itself_comes_through() -> None:
    async def work() -> None:
        with Deadlines().within(FOREVER):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        run(work())
