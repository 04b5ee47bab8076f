"""The order of password checks during a flood."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from worker.web.review.password_checks import (
    CHECKS_AT_ONCE,
    LINE_AT_MOST,
    WAITING_AT_MOST,
    Checks,
    Recent,
    TooManyChecks,
)

Task = asyncio.Task[None]


class Queue:
    """Checks that end when the test says so."""

    def __init__(self) -> None:
        self.checks = Checks()
        self.order: list[str] = []

    async def enter(self, who: str, address: str, name: str, *, came_back: bool = False) -> Task:
        async def wait() -> None:
            await self.checks.turn(address, name, came_back=came_back)
            self.order.append(who)

        task = asyncio.ensure_future(wait())
        for _ in range(3):  # until it waits and the removed check has failed
            await asyncio.sleep(0)
        return task

    async def until_empty(self) -> None:
        """End every check, one after another."""
        for _ in range(WAITING_AT_MOST + CHECKS_AT_ONCE):
            self.checks.done()
            for _ in range(3):
                await asyncio.sleep(0)


def run(test: Callable[[Queue], Awaitable[None]]) -> None:
    async def in_time() -> None:
        queue = Queue()
        async with asyncio.timeout(10):
            for number in range(CHECKS_AT_ONCE):
                await queue.enter(f"first {number}", "192.0.2.99", "first")
            await test(queue)

    asyncio.run(in_time())


def test_another_address_or_name_waits_for_only_one_check_of_the_flood() -> None:
    async def test(queue: Queue) -> None:
        for number in range(LINE_AT_MOST):
            await queue.enter(f"guess {number}", "192.0.2.1", "ann")
        await queue.enter("ann from home", "192.0.2.2", "ann")
        await queue.enter("bob", "192.0.2.1", "bob")
        await queue.until_empty()
        place = {who: number for number, who in enumerate(queue.order[CHECKS_AT_ONCE:])}
        assert place["ann from home"] == 1
        assert place["bob"] <= 2

    run(test)


def test_a_full_line_refuses_a_new_guess_and_admits_a_returning_check() -> None:
    async def test(queue: Queue) -> None:
        flood = [await queue.enter(f"guess {number}", "192.0.2.1", "ann") for number in range(LINE_AT_MOST)]
        one_more = await queue.enter("one more", "192.0.2.1", "ann")
        with pytest.raises(TooManyChecks):
            await one_more
        ann = await queue.enter("ann", "192.0.2.1", "ann", came_back=True)
        with pytest.raises(TooManyChecks):
            await flood[-1]
        await queue.until_empty()
        await ann
        assert "ann" in queue.order

    run(test)


def test_when_all_lines_are_full_the_longest_line_loses_one_check() -> None:
    async def test(queue: Queue) -> None:
        tasks = [
            await queue.enter(f"guess {number}", f"192.0.2.{number % 8}", "ann") for number in range(WAITING_AT_MOST)
        ]
        ann = await queue.enter("ann", "198.51.100.1", "ann")
        assert len(queue.checks) == WAITING_AT_MOST
        pushed_out = [task for task in tasks if task.done()]
        assert len(pushed_out) == 1
        with pytest.raises(TooManyChecks):
            await pushed_out[0]
        await queue.until_empty()
        await ann

    run(test)


def test_a_flood_of_names_from_one_address_gives_way_to_another_address() -> None:
    async def test(queue: Queue) -> None:
        flood = [await queue.enter(f"guess {n}", "192.0.2.1", f"name {n}") for n in range(WAITING_AT_MOST)]
        ann = await queue.enter("ann", "198.51.100.1", "ann")
        assert [task.done() for task in flood].count(True) == 1
        await asyncio.gather(*(task for task in flood if task.done()), return_exceptions=True)
        bob = await queue.enter("bob", "192.0.2.1", "bob")
        with pytest.raises(TooManyChecks):
            await bob
        await queue.until_empty()
        await ann
        assert queue.order.index("ann") <= CHECKS_AT_ONCE + 1

    run(test)


def test_a_cancelled_check_takes_no_turn() -> None:
    async def test(queue: Queue) -> None:
        gone = await queue.enter("gone", "192.0.2.1", "ann")
        gone.cancel()
        next_one = await queue.enter("next", "192.0.2.1", "ann")
        await queue.until_empty()
        await next_one
        assert queue.order[CHECKS_AT_ONCE:] == ["next"]

    run(test)


def test_the_memory_of_digests_is_bounded() -> None:
    recent = Recent(2)
    for digest in (b"a", b"b", b"a", b"c"):
        recent.add(digest)
    assert [digest in recent for digest in (b"a", b"b", b"c")] == [True, False, True]
