"""The sentence of the product: claim -> call -> settle.

1. A `refresh.reconcile` message starts a slice. It carries nothing; the ledger says what is due.
2. The slice runs one drain for each instance in one event loop, so a closed gate holds up nobody else.
3. A drain claims logins, a few at a time, as many as rate and limits allow, and starts a call for each: a sliding
   window, no call waits for another.
4. Meanwhile answers are settled in groups, every few milliseconds (worker/answers.py), which makes room for more.
5. When nothing is due, or time is up, what is in flight is waited for and settled, and it says whether work is left.

Nothing here remembers anything: kill it anywhere, and the leases give its logins back.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import redis

from worker.answers import REDIS_PAUSE_SECONDS, Answers, Settle
from worker.errors import LedgerMismatch, SealError
from worker.gate_rules import DEFAULT_RULES, GateRules
from worker.ledger import Claim, Ledger
from worker.retry import RetryLimits
from worker.seal import Vault
from worker.settings import Instance
from worker.settling import Call, settlement_of, unsent
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected
from worker.verdicts import Outcome, Verdict

SLICE_SECONDS = 15.0
CLAIM_AT_MOST = 64
"""In one script call: it keeps Redis busy for a millisecond or two, and calls begin while the next are claimed."""
LINGER_SECONDS = 1.0
"""Work that falls due this soon is waited for: the pacemaker would not be faster."""
LOOK_SECONDS = 0.05  # so often a waiting drain looks for new work
KEEP_PLACE_SECONDS = 1.0

log = get_logger(__name__)
_CHANCE = random.SystemRandom()  # children are forked: a seeded generator would draw the same waits in each


class Caller(Protocol):
    """What the reconciler needs of the Flinks client."""

    async def set_scheduled_refresh(
        self,
        instance: Instance,
        login_id: str,
        wants_active: bool,  # noqa: FBT001 - the wish
        *,
        timeout_seconds: float,
        not_after: float,
    ) -> Verdict | None:
        """Make one call; None: `not_after` (monotonic) had passed, and nothing was sent."""


@dataclass(frozen=True)
class Bounds:
    """How far a drain may go: lease and deadline in seconds, the cluster-wide limits, retries, the gate's rules."""

    lease_seconds: float
    call_seconds: float
    calls_per_second: float
    max_in_flight: int
    retry: RetryLimits
    gate: GateRules = DEFAULT_RULES
    slice_seconds: float = SLICE_SECONDS


@dataclass(frozen=True)
class Parts:
    """What every drain of a slice shares. `worker` and `owner` name whose it is; one that stops claims no more."""

    ledger: Ledger
    vault: Vault
    caller: Caller
    bounds: Bounds
    worker: str
    owner: str
    is_stopping: Callable[[], bool] = lambda: False


class Place:
    """This reconciler's place among all: it says once a second that it is at work, and hears how many there are."""

    def __init__(self, parts: Parts, reconcilers: int) -> None:
        self._parts = parts
        self._reconcilers = reconcilers

    @property
    def share(self) -> int:
        """Calls that one of us may have in flight for an instance: who comes later finds room, too."""
        return math.ceil(self._parts.bounds.max_in_flight / max(self._reconcilers, 1))

    async def keep(self) -> None:
        """Go on, also while all calls are slow; never returns."""
        while True:
            await asyncio.sleep(KEEP_PLACE_SECONDS)
            with suppress(redis.RedisError):
                enlist = self._parts.ledger.enlist
                self._reconcilers = await asyncio.to_thread(enlist, self._parts.worker, self._parts.owner)


async def run_slice(parts: Parts, instances: Sequence[tuple[Instance, str]], *, reconcilers: int = 1) -> bool:
    """Drain every (instance, fingerprint) until none has work or the time is up; True when it was the time.

    `reconcilers` is how many there are, this one included.
    """
    ends_at = time.monotonic() + parts.bounds.slice_seconds
    place = Place(parts, reconcilers)
    drains = [Drain(parts, place, instance, fingerprint, ends_at) for instance, fingerprint in instances]
    for drain in drains:
        drain.others = [other for other in drains if other is not drain]
    keeping = asyncio.create_task(place.keep())
    try:
        async with asyncio.TaskGroup() as group:
            for drain in drains:
                group.create_task(drain.run())
    finally:
        keeping.cancel()
    return time.monotonic() >= ends_at


class Drain:
    """One instance's claims and calls for one slice; what they come to is for its Answers."""

    def __init__(self, parts: Parts, place: Place, instance: Instance, fingerprint: str, ends_at: float) -> None:
        self._parts = parts
        self._place = place
        self._instance = instance
        self._fingerprint = fingerprint
        self._ends_at = ends_at
        self._in_flight: set[asyncio.Task[None]] = set()
        self._answers = Answers(self._settle_by(parts), instance=instance.name)
        self.others: list[Drain] = []
        self.is_idle = False

    def _settle_by(self, parts: Parts) -> Settle:
        return partial(
            parts.ledger.settle,
            self._instance.name,
            owner=parts.owner,
            worker=parts.worker,
            fingerprint=self._fingerprint,
            calls_per_second=parts.bounds.calls_per_second,
            rules=parts.bounds.gate,
        )

    async def run(self) -> None:
        """Work until this drain and all others are idle, or the time is up and nothing is in flight."""
        settling = asyncio.create_task(self._answers.settle_as_they_come())
        claiming = asyncio.create_task(self._claim_until_idle())
        try:
            await asyncio.wait((settling, claiming), return_when=asyncio.FIRST_COMPLETED)
            if settling.done():
                settling.result()  # something unforeseen: the slice ends, and the leases will tell
            claiming.result()
        finally:
            for task in (settling, claiming, *self._in_flight):
                task.cancel()

    async def _claim_until_idle(self) -> None:
        gives_up_at = self._ends_at + self._parts.bounds.lease_seconds
        while True:
            self._answers.settled.clear()
            now = time.monotonic()
            wait = await self._claim() if now < self._ends_at else None
            self.is_idle = wait is None and not self._in_flight and not self._answers.unsettled
            if self.is_idle and (now >= self._ends_at or all(other.is_idle for other in self.others)):
                return
            if now >= gives_up_at:  # Redis is away; the leases of what is unsettled run out about now
                return
            await self._pause(LOOK_SECONDS if wait is None else min(wait, LOOK_SECONDS))

    async def _claim(self) -> float | None:
        """Start calls for what is due; returns seconds until asking again makes sense, None: not in this slice."""
        bounds = self._parts.bounds
        room = self._place.share - len(self._in_flight) - self._answers.unsettled
        if room <= 0 or self._parts.is_stopping():
            return None if self._parts.is_stopping() else LOOK_SECONDS
        asked_at = time.monotonic()
        try:
            reply = await asyncio.to_thread(
                self._parts.ledger.claim,
                self._instance.name,
                at_most=min(room, CLAIM_AT_MOST),
                owner=self._parts.owner,
                worker=self._parts.worker,
                lease_seconds=bounds.lease_seconds,
                calls_per_second=bounds.calls_per_second,
                max_in_flight=bounds.max_in_flight,
                fingerprint=self._fingerprint,
            )
        except redis.RedisError as error:
            log.warning("ledger_unreachable", doing="claim", error=type(error).__name__)
            await asyncio.sleep(REDIS_PAUSE_SECONDS)
            return 0
        except LedgerMismatch:
            return None  # the pacemaker ends this worker; what is in flight is settled still
        for claim in reply.claims:
            task = asyncio.create_task(self._work(claim, reply.now_ms, asked_at))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
        wait = reply.wait_seconds
        return wait if wait is not None and wait <= LINGER_SECONDS else None

    async def _work(self, claim: Claim, claimed_at_ms: int, asked_at: float) -> None:
        started_at = time.monotonic()
        verdict = await self._call(claim, asked_at + self._parts.bounds.lease_seconds - self._parts.bounds.call_seconds)
        if verdict is None:
            self._answers.add(unsent(claim))
        else:
            call = Call(claim, claimed_at_ms, time.monotonic() - started_at, self._parts.worker)
            self._answers.add(settlement_of(call, verdict, self._parts.bounds.retry, _CHANCE.random))

    async def _call(self, claim: Claim, not_after: float) -> Verdict | None:
        try:
            login_id = self._parts.vault.open_login(claim.reference, claim.sealed)
            return await self._parts.caller.set_scheduled_refresh(
                self._instance,
                login_id,
                claim.wants_active,
                timeout_seconds=self._parts.bounds.call_seconds,
                not_after=not_after,
            )
        except SealError as error:
            return Verdict(Outcome.HALT, "unsealable", message=str(error))
        except Exception as error:
            log.exception("call_failed_unexpectedly", login=claim.reference, instance=self._instance.name)
            report_unexpected(error, where="call", instance=self._instance.name)
            return Verdict(Outcome.TRANSIENT, "internal_error", is_ambiguous=True)

    async def _pause(self, seconds: float) -> None:
        """Wait until answers were settled, which makes room, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answers.settled.wait()
