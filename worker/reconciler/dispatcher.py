"""Claims logins, calls Flinks and settles outcomes for one instance during one slice, in a sliding window.

Each turn runs one script, which settles finished calls and claims logins for the free places in the window.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

import redis

from worker.clock import elapsed_seconds
from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.config.instances import Instance
from worker.errors import SealError, UnknownKey
from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Claim, ClaimReply, Ledger, Settled, Settlement
from worker.reconciler.retry_policy import RetryLimits
from worker.reconciler.settlement import Call, log_fields, settlement_of, unsent
from worker.redis_client.error_messages import in_log
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected
from worker.vault.vault import Vault

CLAIM_AT_MOST = 64
SETTLE_AT_MOST = 64
"""Settlements in one script. Higher: other Redis clients wait longer; two full scripts block Redis for 2 ms."""
LINGER_SECONDS = 1.0
"""Wait for logins that fall due this soon instead of ending the slice: a new slice would not start sooner."""
CLAIMED_SECONDS = 0.005  # after a claim of all that was due or allowed: its calls come first
LOOK_SECONDS = 0.02  # how often a dispatcher with calls in flight looks for new work
BLOCK_SECONDS = 0.3
"""The same without calls in flight, if no wake-up comes. Higher delays a worker's stop; lower keeps Redis busier."""
REDIS_PAUSE_SECONDS, SLICE_SECONDS = 0.5, 30.0

log = get_logger(__name__)
_RANDOM = random.SystemRandom()  # forked children would share a seeded generator's state and draw the same waits


class Caller(Protocol):
    """The part of the Flinks client that a dispatcher uses."""

    async def set_scheduled_refresh(
        self,
        instance: Instance,
        login_id: str,
        wants_active: bool,  # noqa: FBT001 - the wish
        *,
        timeout_seconds: float,
        not_after: float,
    ) -> Verdict | None:
        """Make one call; returns None if `not_after` (on the `elapsed_seconds` clock) has passed: nothing was sent."""


@dataclass(frozen=True)
class Bounds:
    """Limits for one dispatcher: lease, call deadline, cluster-wide rate and in-flight limit, retries, gate rules."""

    lease_seconds: float
    call_seconds: float
    calls_per_second: float
    max_in_flight: int
    retry: RetryLimits
    gate: GateRules = DEFAULT_RULES
    slice_seconds: float = SLICE_SECONDS


@dataclass(frozen=True)
class Parts:
    """What all dispatchers of a slice share.

    `owner` owns the slice's leases. `worker_name` (if empty, `worker`) names the worker in attempts across restarts.
    `hand_over` runs in a thread when the slice ends, so that a new slice can start while the last calls end. With
    `stays`, a slice with nothing to do waits for work until its time is up, as long as all its instances may be called.
    """

    ledger: Ledger
    vault: Vault
    caller: Caller
    bounds: Bounds
    worker: str
    owner: str
    is_stopping: Callable[[], bool] = lambda: False
    hand_over: Callable[[], None] = lambda: None
    worker_name: str = ""
    stays: bool = False


class Dispatcher:
    """Claims and calls until nothing is due or the slice ends, then waits for the calls in flight and settles them.

    `share` returns how many calls this dispatcher may have in flight. It connects to Redis in one of `threads`.
    While Redis is unreachable, the dispatcher keeps its settlements until the leases of their claims expire.
    """

    def __init__(
        self,
        parts: Parts,
        instance: Instance,
        fingerprint: str,
        *,
        ends_at: float,
        share: Callable[[], int],
        threads: Executor,
    ) -> None:
        self._parts, self._instance, self._fingerprint = parts, instance, fingerprint
        self._ends_at, self._share, self._threads = ends_at, share, threads
        self._in_flight: dict[int, asyncio.Task[None]] = {}  # by the id() of the claim
        self._answers: list[Settlement] = []
        self._answered = asyncio.Event()
        self.everyone: Sequence[Dispatcher] = ()
        self.is_idle = self.may_stay = self._is_newer = False

    async def run(self) -> None:
        """Run turns until all dispatchers are idle, or until the slice has ended and nothing is in flight."""
        try:
            await self._run()
        finally:
            # An unexpected error ended the slice: these logins are due when their leases expire.
            for task in self._in_flight.values():
                task.cancel()

    async def _run(self) -> None:
        gives_up_at = self._ends_at + self._parts.bounds.lease_seconds
        block = 0.0
        while True:
            now = elapsed_seconds()
            wait = await self._turn(self._room() if now < self._ends_at else 0, block)
            has_nothing = not self._in_flight and not self._answers
            self.is_idle = wait is None and has_nothing
            if now >= self._ends_at and has_nothing:
                return
            stays = all(one.may_stay for one in self.everyone) and not self._parts.is_stopping()
            if not stays and all(one.is_idle for one in self.everyone):
                return
            if now >= gives_up_at:  # Redis is unreachable and the leases of unsettled calls have expired
                return
            block = 0.0
            if has_nothing and self.may_stay:  # to Redis, 0 is for ever
                block = max(min(BLOCK_SECONDS, wait or BLOCK_SECONDS, self._ends_at - now), 0.01)
            else:
                await self._pause(LOOK_SECONDS if wait is None else min(wait, LOOK_SECONDS))

    def _room(self) -> int:
        """Return how many logins to claim now."""
        if self._parts.is_stopping() or self._is_newer:
            return 0
        left = self._share() - len(self._in_flight) - max(len(self._answers) - SETTLE_AT_MOST, 0)
        # Small claims: calls that start together end together, which would empty the window until the next claim.
        return max(0, min(left, CLAIM_AT_MOST // 2 if left < 2 * CLAIM_AT_MOST else CLAIM_AT_MOST))

    async def _turn(self, at_most: int, block: float) -> float | None:
        """Settle and claim; returns the seconds until the next turn, or None if nothing is due in this slice.

        First wait up to `block` seconds until logins become due.
        """
        group, self._answers = self._answers[:SETTLE_AT_MOST], self._answers[SETTLE_AT_MOST:]
        self._answered.clear()
        if not group and not at_most:
            return None if self._parts.is_stopping() or self._is_newer else LOOK_SECONDS
        asked_at = elapsed_seconds()
        try:
            results, reply = await self._settle_and_claim(group, at_most, block)
        except redis.RedisError as error:
            log.warning("ledger_unreachable", **in_log(error), unsettled=len(group) + len(self._answers))
            self._answers = group + self._answers
            await asyncio.sleep(REDIS_PAUSE_SECONDS)
            return 0
        self._start(reply, asked_at)
        if reply.claims:
            await asyncio.sleep(0)  # their requests are written first
        if group:
            log.info("call_settled", each=map(log_fields, repeat(self._instance.name), group, results))
        self._is_newer = reply.state == "newer"  # the pacemaker stops this worker
        self.may_stay = self._parts.stays and reply.state == "idle"
        if self._answers:
            return 0
        if not at_most or 0 < len(reply.claims) < at_most:
            return CLAIMED_SECONDS if at_most else LOOK_SECONDS
        return reply.wait_seconds if (reply.wait_seconds or 0) <= LINGER_SECONDS else None

    async def _settle_and_claim(
        self, group: Sequence[Settlement], at_most: int, block: float
    ) -> tuple[list[Settled], ClaimReply]:
        parts, bounds = self._parts, self._parts.bounds
        return await parts.ledger.settle_and_claim(
            self._instance.name,
            group,
            at_most=at_most,
            owner=parts.owner,
            worker=parts.worker,
            lease_seconds=bounds.lease_seconds,
            settle_seconds=bounds.retry.settle_seconds,
            calls_per_second=bounds.calls_per_second,
            max_in_flight=bounds.max_in_flight,
            fingerprint=self._fingerprint,
            key_ids=parts.vault.key_ids,
            rules=bounds.gate,
            wait_seconds=block,
            threads=self._threads,
        )

    def _start(self, reply: ClaimReply, asked_at: float) -> None:
        not_after = asked_at + self._parts.bounds.lease_seconds - self._parts.bounds.call_seconds
        for claim in reply.claims:
            self._in_flight[id(claim)] = asyncio.create_task(self._work(claim, reply.now_ms, not_after))

    async def _work(self, claim: Claim, claimed_at_ms: int, not_after: float) -> None:
        started_at = elapsed_seconds()
        try:
            verdict = await self._call(claim, not_after)
            if verdict is None:
                self._answers.append(unsent(claim))
            else:
                name = self._parts.worker_name or self._parts.worker
                call = Call(claim, claimed_at_ms, elapsed_seconds() - started_at, name)
                self._answers.append(settlement_of(call, verdict, self._parts.bounds.retry, _RANDOM.random))
        finally:  # a done callback would cost each call one more turn of the event loop
            del self._in_flight[id(claim)]
            self._answered.set()

    async def _call(self, claim: Claim, not_after: float) -> Verdict | None:
        try:
            login_id = self._parts.vault.open_login(claim.reference, claim.sealed)
            limits = {"timeout_seconds": self._parts.bounds.call_seconds, "not_after": not_after}
            call = self._parts.caller.set_scheduled_refresh
            return await call(self._instance, login_id, claim.wants_active, **limits)
        except UnknownKey:  # a worker that has the key will make this call
            return None
        except SealError as error:  # the sealed bytes were altered
            return Verdict(Outcome.HALT, "unsealable", message=str(error))
        except Exception as error:
            log.exception("call_failed_unexpectedly", login=claim.reference, instance=self._instance.name)
            report_unexpected(error, where="call", instance=self._instance.name)
            return Verdict(Outcome.TRANSIENT, "internal_error", is_ambiguous=True)

    async def _pause(self, seconds: float) -> None:
        """Wait up to `seconds` for a call to end, then let more end: settlement groups grow with the load."""
        if not self._answered.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._answered.wait()
        seen = 0
        while seen < len(self._answers) < SETTLE_AT_MOST:
            seen = len(self._answers)
            await asyncio.sleep(0)  # one turn of the event loop reads the responses that have arrived
