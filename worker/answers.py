"""Holds what calls came to until the ledger knows it: answers that arrive together are settled by one script call.

One of these belongs to each drain. While Redis is away it keeps what it has, and tries again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import redis

from worker.ledger import Settled, Settlement
from worker.telemetry.logs import get_logger

GROUPING_SECONDS = 0.003
"""Answers that arrive within this time of each other are settled together. Too high: slots stand empty so long."""
AT_MOST = 64
"""In one script call: it keeps Redis busy for a millisecond or two, and other clients waiting."""
REDIS_PAUSE_SECONDS = 0.5
_QUIET = frozenset({Settled.APPLIED, Settled.OVERTAKEN, Settled.UNSENT})

log = get_logger(__name__)

Settle = Callable[[Sequence[Settlement]], list[Settled]]


class Answers:
    """Answers of one instance's calls. `settle` blocks, and raises redis.RedisError while Redis is away."""

    def __init__(self, settle: Settle, *, instance: str) -> None:
        self._settle = settle
        self._instance = instance
        self._waiting: list[Settlement] = []
        self._in_hand = 0
        self._tells_all = logging.getLogger(__name__).isEnabledFor(logging.DEBUG)
        self._arrived = asyncio.Event()
        self.settled = asyncio.Event()
        """Set after each group: there is room for more calls."""

    @property
    def unsettled(self) -> int:
        """How many answers the ledger does not know yet."""
        return len(self._waiting) + self._in_hand

    def add(self, settlement: Settlement) -> None:
        """Take one in."""
        self._waiting.append(settlement)
        self._arrived.set()

    async def settle_as_they_come(self) -> None:
        """Settle group after group; never returns."""
        while True:
            await self._arrived.wait()
            if len(self._waiting) < AT_MOST:
                await asyncio.sleep(GROUPING_SECONDS)
            await self._settle_group()

    async def _settle_group(self) -> None:
        group, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
        if not self._waiting:
            self._arrived.clear()
        self._in_hand = len(group)
        try:
            results = await asyncio.to_thread(self._settle, group)
        except redis.RedisError as error:
            log.warning("ledger_unreachable", doing="settle", error=type(error).__name__, unsettled=self.unsettled)
            self._waiting = group + self._waiting
            self._arrived.set()
            self._in_hand = 0
            await asyncio.sleep(REDIS_PAUSE_SECONDS)
            return
        self._in_hand = 0
        self.settled.set()
        for settlement, result in zip(group, results, strict=True):
            self._tell(settlement, result)

    def _tell(self, item: Settlement, result: Settled) -> None:
        is_quiet = result in _QUIET
        if is_quiet and not self._tells_all:
            return
        (log.debug if is_quiet else log.info)(
            "call_settled",
            login=item.claim.reference,
            instance=self._instance,
            account_id=item.claim.account_id,
            wish="on" if item.claim.wants_active else "off",
            outcome=item.outcome,
            result=str(result),
            code=item.code,
            http_status=item.http_status,
            delay_seconds=round(item.delay_seconds, 1),
        )
