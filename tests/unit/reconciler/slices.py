"""One slice over a fake ledger and a fake Flinks."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import redis

from worker.clock import elapsed_seconds
from worker.config.instances import Instance
from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Claim, ClaimReply, Ledger, Settled, Settlement
from worker.reconciler.dispatcher import Bounds, Parts
from worker.reconciler.reconciler import run_slice
from worker.reconciler.retry_policy import RetryLimits
from worker.vault.vault import Vault

APPLIED = Verdict(Outcome.APPLIED, "applied", http_status=200)
AWAY = redis.ConnectionError("away")
LOOK_SECONDS = 0.01
LIMITS = RetryLimits(max_attempts=5, max_age_seconds=3600, settle_seconds=20)
BOUNDS = Bounds(lease_seconds=2, call_seconds=1, calls_per_second=50, max_in_flight=8, retry=LIMITS, slice_seconds=0.4)


class FakeLedger:
    """Hands out due logins and keeps settlements; fails as often as requested."""

    def __init__(self) -> None:
        self.due: dict[str, list[Claim]] = {"toolbox": [], "eu": []}
        self.wait_seconds: dict[str, float] = {}
        self.states: dict[str, str] = {}
        self.failures = {"claim": 0, "settle": 0, "wait": 0}
        self.result = Settled.APPLIED
        self.asked: Counter[str] = Counter()
        self.wanted: list[int] = []
        self.batches: list[list[Settlement]] = []
        self.reconcilers = 1
        self.is_newer = False
        self.key_ids: Sequence[str] = ()
        self.wake_ups: dict[str, threading.Event] = {name: threading.Event() for name in self.due}
        self.waits: Counter[str] = Counter()

    def join_reconcilers(self, worker: str, owner: str) -> int:
        del worker, owner
        return self.reconcilers

    async def settle_and_claim(
        self,
        instance: str,
        items: Sequence[Settlement],
        *,
        at_most: int,
        key_ids: Sequence[str],
        wait_seconds: float,
        **_: Any,
    ) -> tuple[list[Settled], ClaimReply]:
        self.key_ids = key_ids
        if wait_seconds:
            self.waits[instance] += 1
            self._fail("wait")
            await asyncio.to_thread(self.wake_ups[instance].wait, wait_seconds)
            self.wake_ups[instance].clear()
        self._fail("settle" if items else "claim")
        if items:
            self.batches.append(list(items))
        if at_most:
            self.asked[instance] += 1
            self.wanted.append(at_most)
        due = self.due[instance]
        taken, self.due[instance] = due[:at_most], due[at_most:]
        if self.is_newer:
            return [self.result] * len(items), ClaimReply("newer", None, 1000, [])
        if taken:
            return [self.result] * len(items), ClaimReply("claimed", 0, 1000, taken)
        reply = ClaimReply(self.states.get(instance, "idle"), self.wait_seconds.get(instance), 1000, [])
        return [self.result] * len(items), reply

    def _fail(self, doing: str) -> None:
        if self.failures[doing]:
            self.failures[doing] -= 1
            raise AWAY

    @property
    def settled(self) -> dict[str, Settlement]:
        items = [item for batch in self.batches for item in batch]
        found = {item.claim.reference: item for item in items}
        assert len(found) == len(items), "a claim was settled twice"
        return found


class FakeCaller:
    """Answers by login: with a verdict, None, an exception, or the result of a coroutine."""

    def __init__(self, answer: Callable[[str], Any] = lambda _: APPLIED) -> None:
        self.answer = answer
        self.called: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.in_flight_at_start: list[int] = []
        self.limits: list[tuple[float, float]] = []

    async def set_scheduled_refresh(
        self,
        instance: Instance,
        login_id: str,
        wants_active: bool,  # noqa: FBT001 - the wish
        *,
        timeout_seconds: float,
        not_after: float,
    ) -> Verdict | None:
        del instance, wants_active
        self.called.append(login_id)
        self.limits.append((timeout_seconds, not_after - elapsed_seconds()))
        self.in_flight += 1
        self.in_flight_at_start.append(self.in_flight)
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            answer = self.answer(login_id)
            answer = await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return cast("Verdict | None", answer)


class Slice:
    """One slice over a fake ledger."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.ledger, self.caller, self.bounds = vault, FakeLedger(), FakeCaller(), BOUNDS

    def due(self, *logins: str, instance: str = "toolbox") -> None:
        for number, login in enumerate(logins):
            reference = f"lgn_{login}"
            sealed = self.vault.seal_login(reference, login)
            self.ledger.due[instance].append(Claim(reference, number, 1, True, sealed, 0, None, None))  # noqa: FBT003

    def parts(self) -> Parts:
        return Parts(cast("Ledger", self.ledger), self.vault, self.caller, self.bounds, "w1", "o1")

    def run(self, *names: str, reconcilers: int = 1) -> bool:
        instances = [(instance_of(name), "fp") for name in names or ("toolbox",)]
        return asyncio.run(run_slice(self.parts(), instances, reconcilers=reconcilers))

    def outcomes(self) -> dict[str, str]:
        return {item.claim.reference.removeprefix("lgn_"): item.outcome for item in self.ledger.settled.values()}


def instance_of(name: str) -> Instance:
    parts: dict[str, Any] = {"customer_id": "c", "auth_key": "k", "auth_header": "h", "auth_scheme": ""}
    return Instance(name=name, base_url="https://a", **parts)


async def opened(gate: asyncio.Event) -> Verdict:
    await gate.wait()
    return APPLIED


async def later(seconds: float) -> Verdict:
    await asyncio.sleep(seconds)
    return APPLIED


async def when(is_so: Callable[[], bool]) -> Verdict:
    while not is_so():  # noqa: ASYNC110 - the fake ledger has no event to wait for
        await asyncio.sleep(0.005)
    return APPLIED
