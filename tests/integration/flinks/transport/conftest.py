"""Every test of the transport runs on both event loops, and fails if it leaves a task or an unhandled error behind."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.integration.flinks.transport.calls import until

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
SECONDS = 20
"""A call that misses its own deadline fails the test instead of blocking it."""


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Run a coroutine to its end on one of the two loops, and return its result."""
    new_loop = asyncio.new_event_loop
    if request.param == "uvloop":
        new_loop = pytest.importorskip(
            "uvloop", reason="uvloop is missing: only plain asyncio is tested"
        ).new_event_loop

    def run_to_its_end(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_watched(coroutine))

    return run_to_its_end


async def _watched(coroutine: Coroutine[Any, Any, T]) -> T:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    async with asyncio.timeout(SECONDS):
        result = await coroutine
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert not unhandled
    return result
