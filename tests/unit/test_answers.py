"""Answers are settled in groups of a bounded size, each once, and the ledger's silence loses none."""

import asyncio
from collections.abc import Sequence

import pytest
import redis

from worker import answers
from worker.answers import AT_MOST, Answers
from worker.ledger import Claim, Settled, Settlement


class FakeLedger:
    """Keeps what is settled; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.groups: list[list[str]] = []

    def settle(self, items: Sequence[Settlement]) -> list[Settled]:
        if self.failures:
            self.failures -= 1
            raise redis.ConnectionError
        self.groups.append([item.claim.reference for item in items])
        return [Settled.APPLIED] * len(items)


async def settle_all(ledger: FakeLedger, count: int) -> None:
    held = Answers(ledger.settle, instance="toolbox")
    for number in range(count):
        held.add(Settlement(claim=Claim(f"lgn_{number}", 1, 1, True, b"", 0, None, None), outcome="applied"))  # noqa: FBT003
    assert held.unsettled == count
    settling = asyncio.create_task(held.settle_as_they_come())
    async with asyncio.timeout(10):
        while held.unsettled:
            await held.settled.wait()
            held.settled.clear()
    settling.cancel()


def test_a_great_many_answers_are_settled_in_groups_in_their_order() -> None:
    ledger = FakeLedger()
    asyncio.run(settle_all(ledger, 2 * AT_MOST + 1))
    assert [len(group) for group in ledger.groups] == [AT_MOST, AT_MOST, 1]
    assert [name for group in ledger.groups for name in group] == [f"lgn_{n}" for n in range(2 * AT_MOST + 1)]


def test_answers_that_redis_would_not_take_are_settled_before_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "REDIS_PAUSE_SECONDS", 0.001)
    ledger = FakeLedger(failures=3)
    asyncio.run(settle_all(ledger, AT_MOST + 1))
    assert [len(group) for group in ledger.groups] == [AT_MOST, 1]
    assert ledger.groups[0][0] == "lgn_0"
