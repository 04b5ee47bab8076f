"""Calls settled in one batch, with the next claim in the same script, have the same results as one by one.

The large schedules settle one call at a time; workers settle many. Only an outage may differ, as its signs are counted
before a batch is settled: so no call here says that Flinks is down.
"""

from collections import Counter
from random import Random
from typing import Any

from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import Clock
from tests.people import ANN
from worker.config.gate_thresholds import GateRules
from worker.ledger import Claim, ClaimReply, Lane, Ledger, Letters, Settled, Settlement, Wish
from worker.ledger.gate_control import GateKeeper

INSTANCE, FINGERPRINTS = "toolbox", ("old", "new", "newer")
TERMS: dict[str, Any] = {"owner": "o", "worker": "w", "calls_per_second": 500}
MORE: dict[str, Any] = {"lease_seconds": 100, "settle_seconds": 3, "max_in_flight": 8}
RULES = GateRules(storm_logins=4)
ENDINGS: list[tuple[str, dict[str, Any]]] = [
    ("applied", {"code": "applied"}),
    ("applied", {"code": "applied", "flags": "u"}),
    ("dead", {"code": "INVALID_LOGIN", "http_status": 400}),
    ("dead", {"code": "DISABLED_LOGIN", "http_status": 401}),
    ("dead", {"code": "retries_exhausted", "flags": "a", "rest_seconds": 3.0}),
    ("halt", {"code": "ACCESS_DENIED", "http_status": 401}),
    ("transient", {"code": "name_not_found", "flags": "h", "delay_seconds": 1.0}),
    ("transient", {"code": "RETRY_LATER", "delay_seconds": 2.0}),
    ("transient", {"code": "timeout", "flags": "a", "rest_seconds": 3.0}),
    ("throttled", {"delay_seconds": 0.1, "retry_after_seconds": 1.0}),
    ("unsent", {}),
]
SCHEDULES, STEPS = 6, 90


class Side:
    """One of the two ledgers."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        self.client = client
        self.ledger, self.letters = Ledger(client, now_ms=clock), Letters(client, now_ms=clock)
        self.gates = GateKeeper(client, now_ms=clock)
        client.flushdb()
        client.hset(f"nightly:configs:{INSTANCE}", mapping=dict.fromkeys(("old", "new"), "proven"))

    def settle_together(self, calls: list[Settlement], **terms: Any) -> tuple[list[Settled], ClaimReply]:
        settle = ledger_calls.settle_and_claim
        return settle(self.ledger, INSTANCE, calls, rules=RULES, at_most=5, **TERMS, **MORE, **terms)

    def settle_one_by_one(self, calls: list[Settlement], **terms: Any) -> tuple[list[Settled], ClaimReply]:
        settled = [
            ledger_calls.settle(self.ledger, INSTANCE, [call], rules=RULES, **TERMS, **terms)[0] for call in calls
        ]
        return settled, ledger_calls.claim(self.ledger, INSTANCE, at_most=5, **TERMS, **MORE, **terms)

    def holds(self) -> dict[str, Any]:
        """Return the whole ledger without expiry times, keys of real time, and the signs of an outage."""
        found: dict[str, Any] = {}
        for key in sorted(self.client.keys("nightly:*")):
            name = key.decode().split(":")[1]
            if name not in {"good", "ill", "health", "hint", "feed-hint"}:
                read = {b"hash": self._hash, b"zset": self._zset, b"set": self._set, b"list": self._list}
                found[key.decode()] = read.get(self.client.type(key), self.client.get)(key)
        return found

    def _hash(self, key: bytes) -> Any:
        return self.client.hgetall(key)

    def _zset(self, key: bytes) -> Any:
        return self.client.zrange(key, 0, -1, withscores=True)

    def _set(self, key: bytes) -> Any:
        return self.client.smembers(key)

    def _list(self, key: bytes) -> Any:
        return self.client.lrange(key, 0, -1)


class Twins:
    """One schedule for both ledgers: in batches for one, one by one for the other."""

    def __init__(self, one: Redis, other: Redis, chance: Random, seen: Counter[str]) -> None:
        self.clock, self.chance, self.seen, self.second = Clock(), chance, seen, 0
        self.sides = Side(one, self.clock), Side(other, self.clock)
        self.out: dict[str, list[Claim]] = {fingerprint: [] for fingerprint in FINGERPRINTS}
        self.stale: list[Settlement] = []
        self.weather = [1.0] * len(ENDINGS)

    def step(self) -> None:
        """Take one step."""
        self.clock.ms += self.chance.choice([0, 5, 50, 500, 3_000, 61_000])
        if self.chance.random() < 0.1:
            self.weather = [1.0, *(self.chance.choice([0, 0, 0, 1, 3]) for _ in ENDINGS[1:])]
        steps = (self.events_arrive, self.calls_end, self.a_person_opens, self.leases_end, self.a_reviewer_closes)
        (step,) = self.chance.choices(steps, (2, 9, 0.5, 0.5, 0.5))
        step()

    def events_arrive(self) -> None:
        self.second += 1
        wishes = [self._wish() for _ in range(self.chance.randint(1, 6))]
        one, other = (side.ledger.record(wishes) for side in self.sides)
        assert one == other

    def _wish(self) -> Wish:
        occurred_us = (1_600_000_000 + self.second + self.chance.randint(-1, 1)) * 1_000_000
        login, lane = f"lgn_{self.chance.randint(0, 9)}", self.chance.choice(list(Lane))
        return Wish(login, INSTANCE, b"sealed", occurred_us, self.chance.random() < 0.5, "e", None, lane)

    def calls_end(self) -> None:
        """End up to six calls of one configuration, sometimes including one that was settled before."""
        fingerprint = self.chance.choice(FINGERPRINTS)
        flights = self.out[fingerprint]
        self.chance.shuffle(flights)
        calls = [flights.pop() for _ in range(min(len(flights), self.chance.randint(0, 6)))]
        ends = self.chance.choices(ENDINGS, self.weather, k=len(calls))
        batch = [self._settlement(call, *end) for call, end in zip(calls, ends, strict=True)]
        again = [self.chance.choice(self.stale)] if self.stale and self.chance.random() < 0.2 else []
        self.stale += batch
        one, other = self.sides
        settled, reply = one.settle_together([*again, *batch], fingerprint=fingerprint)
        assert (settled, reply) == other.settle_one_by_one([*again, *batch], fingerprint=fingerprint)
        flights += reply.claims
        self.seen.update(settled)

    def _settlement(self, call: Claim, outcome: str, fields: dict[str, Any]) -> Settlement:
        return ledger_calls.ended(call, outcome, attempt=f'[{call.number},"{outcome}"]', **fields)

    def a_person_opens(self) -> None:
        for side in self.sides:
            side.gates.open(INSTANCE, by=ANN)

    def leases_end(self) -> None:
        self.clock.ms += self.chance.choice([1, 100_000])
        for side in self.sides:
            side.ledger.pulse({INSTANCE: "old"}, worker="w", slots=1)

    def a_reviewer_closes(self) -> None:
        for letter in ledger_calls.list_letters(self.sides[0].letters):
            action = self.chance.choice(["replayed", "resolved"])
            for side in self.sides:
                ledger_calls.close(side.letters, letter.id, action, by="bob")


def test_a_batch_has_the_results_of_its_calls_settled_one_by_one(redis_client: Redis, redis_url: str) -> None:
    seen: Counter[str] = Counter()
    with Redis.from_url(f"{redis_url}?db=1") as other:
        for seed in range(SCHEDULES):
            twins = Twins(redis_client, other, Random(seed), seen)
            for _ in range(STEPS):
                twins.step()
            batched, one_by_one = (side.holds() for side in twins.sides)
            assert batched == one_by_one, f"schedule {seed}"
    assert all(seen[result] > 1 for result in Settled), dict(seen)
