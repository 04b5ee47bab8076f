"""What workers do with the ledger: record, settle and claim, pulse. Each is one Lua script, so each is atomic.

Blocking; every method raises redis.RedisError if Redis does not answer. `now_ms` is only for tests: the time is that of
Redis, so that a worker's clock cannot reorder anything.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.errors import LedgerMismatch
from worker.ledger.arguments import (
    bounds_arguments,
    read_claims,
    rules_arguments,
    settlement_arguments,
    wish_arguments,
)
from worker.ledger.models import ClaimReply, Notice, Pulse, Recorded, Settled, Settlement, Wish
from worker.ledger.scripts import NEWER, Scripts
from worker.redis_client.connect import BytesRedis, server_ms

RECORD_BATCH = 200
"""Events in one script call. Redis serves no other client meanwhile."""
MISMATCHES = {
    "newer": NEWER,
    "mismatch": (
        "LOGIN_KEYS does not hold the key that this ledger was begun with as its last one; "
        "with another key every login would get a second entry. Put the old key last."
    ),
    "sandbox": (
        "This ledger was begun as a sandbox, and production must not go on with what an emulated Flinks confirmed: "
        "name another Redis in REDIS_URL (for `nightly run`: another folder, or remove .nightly/), "
        "or set SANDBOX=1 for trials."
    ),
    "production": (
        "This ledger was begun in production, and a sandbox would mark its logins as done: "
        "name another Redis in REDIS_URL (for `nightly run`: another folder, or remove .nightly/), "
        "or set FLINKS_AUTH_KEY and unset SANDBOX."
    ),
}
"""Why a ledger is not ours, by the reply of open_ledger.lua."""
_RECORDED = {result.encode(): result for result in Recorded}
_SETTLED = {result.encode(): result for result in Settled}


class Ledger:
    """The ledger behind one Redis client (which must return bytes)."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.redis = client
        self._scripts = Scripts(client)
        self._now_ms = now_ms

    def open_ledger(self, reference_key: str, *, is_sandbox: bool = False, only_look: bool = False) -> None:
        """Check that this ledger is ours, and mark a new one as ours unless `only_look` (commands only look).

        `reference_key` is a fingerprint of the key behind all references. Raises LedgerMismatch if the ledger was
        written under another key or by code of a newer schema; and, unless `only_look`, if it is a sandbox and we are
        in production, or the reverse.
        """
        purpose, kind = "look" if only_look else "begin", "sandbox" if is_sandbox else "production"
        standing = self._scripts.run("open_ledger", self._now(), reference_key, purpose, kind).decode()
        if standing in MISMATCHES:
            raise LedgerMismatch(MISMATCHES[standing])

    def check_kind(self, *, is_sandbox: bool) -> None:
        """Check that no worker has opened this ledger as one of the other kind; raises LedgerMismatch."""
        raw = self.redis.hget("nightly:meta", "kind")
        kind = raw.decode() if raw else None
        if kind is not None and (kind == "sandbox") is not is_sandbox:
            raise LedgerMismatch(MISMATCHES[kind])

    def record(
        self, wishes: Sequence[Wish], *, furthest_ahead_seconds: float = 3600, replicas: int = 0
    ) -> list[Recorded]:
        """Record events, in any order and any number of times; returns one result for each.

        With `replicas`, returns after that many replicas have confirmed them; raises NotReplicated if they do not in
        time: the events are in the ledger then, but a failover may lose them.
        """
        ahead_ms = round(furthest_ahead_seconds * 1000)
        results: list[Recorded] = []
        for start in range(0, len(wishes), RECORD_BATCH):
            batch = wishes[start : start + RECORD_BATCH]
            args = [field for wish in batch for field in wish_arguments(wish)]
            reply = self._scripts.run_replicated("record", self._now(), ahead_ms, *args, replicas=replicas)
            results += [_RECORDED[item] for item in reply]
        return results

    def now_ms(self) -> int:
        """Return the time by which events are judged, in milliseconds since 1970."""
        return self._now_ms() if self._now_ms else server_ms(self.redis)

    async def settle_and_claim(
        self,
        instance: str,
        settlements: Sequence[Settlement],
        *,
        at_most: int,
        owner: str,
        worker: str,
        lease_seconds: float,
        settle_seconds: float,
        calls_per_second: float,
        max_in_flight: int,
        fingerprint: str,
        key_ids: Sequence[str] = (),
        rules: GateRules = DEFAULT_RULES,
        wait_seconds: float = 0,
        threads: Executor | None = None,
    ) -> tuple[list[Settled], ClaimReply]:
        """Settle calls that have ended, then claim due logins, as many as gate, rate and in-flight limit allow.

        The results of the calls may shut the gate. A login whose lease is lost rests for `settle_seconds` from the
        moment that is noticed, as its call may still land. `key_ids` are the caller's, newest first (`Vault.key_ids`):
        only logins that they open are claimed, or any login if there are none. If newer code has changed the ledger,
        calls are settled, nothing is claimed, and the state of the claim is `newer`. With `wait_seconds`, Redis first
        waits that long at most until logins of the instance become due. The event loop waits for the reply; a new
        connection is opened in one of `threads` (None: of the event loop).
        """
        caller = (instance, fingerprint, calls_per_second, owner, worker)
        bounds = bounds_arguments(at_most, lease_seconds, max_in_flight, settle_seconds, key_ids)
        args = (self._now(), *caller, *rules_arguments(rules), *bounds, *settlement_arguments(settlements))
        wake_key = f"nightly:wake:{instance}" if wait_seconds else ""
        options: dict[str, Any] = {"wake_key": wake_key, "seconds": wait_seconds, "threads": threads}
        reply = await self._scripts.run_in_loop("settle_and_claim", *args, **options)
        settled, claimed = reply
        return [_SETTLED[item] for item in settled], read_claims(claimed)

    def pulse(
        self,
        fingerprints: Mapping[str, str],
        *,
        worker: str = "",
        slots: int = 0,
        about: Mapping[str, object] | None = None,
    ) -> Pulse:
        """Count the logins due on the instances in `fingerprints`, and say whether to send messages.

        With `slots`, it is also the worker's heartbeat (`about` holds its `keys`, as in `Vault.key_ids`, and the ids of
        its `processes`): it takes back lost leases, frees the slots of processes that are gone, and the reply may hold
        notices. Pass them on, then call `forget_notice`; a later heartbeat gets those that are not forgotten.
        """
        pairs = [text for pair in fingerprints.items() for text in pair]
        reply = self._scripts.run("pulse", self._now(), worker, slots, json.dumps(about or {}), *pairs)
        due, lost, should_wake, texts, should_feed = reply
        notices = tuple(Notice(text.decode()) for text in texts)
        return Pulse(int(due), int(lost), bool(should_wake), notices, bool(should_feed))

    def forget_notice(self, notice: Notice) -> None:
        """Delete a notice that was passed on."""
        self.redis.zrem("nightly:notices", notice.text)

    def join_reconcilers(self, worker: str, owner: str) -> int:
        """Take a slot for a reconciler, or renew it: without that, it is free after three seconds.

        `owner` begins with the id of the process: once a pulse of the worker no longer names that, the slot is free.
        Returns the number of reconcilers, this one included; 0 if this worker has no free slot.
        """
        return int(self._scripts.run("join_reconcilers", self._now(), worker, owner))

    def leave_reconcilers(self, worker: str, owner: str) -> None:
        """Free the slot of a reconciler that ends."""
        self.redis.zrem("nightly:reconcilers", f"{worker}|{owner}")

    def remove_worker(self, worker: str) -> None:
        """Remove a worker that ends from the live ones."""
        self.redis.hdel("nightly:workers", worker)

    def _now(self) -> str | int:
        return self._now_ms() if self._now_ms else ""
