"""Storms in separate random schedules with many calls in flight, which the large ones seldom have."""

import os
from collections import Counter
from random import Random

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import Clock, wishes
from tests.integration.ledger.storms import Caller, Storms
from tests.integration.ledger.world import INSTANCES, RULES
from tests.people import ANN
from worker.ledger import Claim, Ledger, Letters, Settled, Settlement
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views

INSTANCE = INSTANCES[0]
TERMS = {"owner": "o", "worker": "w", "calls_per_second": 1000}
ENDINGS = {
    "applied": {"code": "applied"},
    "dead": {"http_status": 401},
    "halt": {"code": "ACCESS_DENIED", "http_status": 401},
    "transient": {"code": "name_not_found", "flags": "h"},
}
REFUSALS = ("INVALID_LOGIN", "UNAUTHORIZED")
WEATHERS = ((1, 9, 0, 0), (0, 9, 1, 0), (0, 1, 0, 9), (1, 1, 0, 0), (3, 0, 1, 0))
"""How often each ending comes: a storm with a success in it, with a refused key, without a host, ..."""
SCHEDULES, STEPS = max(12, int(os.environ.get("NIGHTLY_SCHEDULES", "1000")) // 80), 120
"""Of each of two parts; a schedule's seed is its number."""


class StormSchedule:
    """One schedule: 30 logins, three configurations."""

    def __init__(self, client: Redis, chance: Random, seen: Counter[str]) -> None:
        client.flushall()
        self.client, self.chance, self.seen = client, chance, seen
        self.clock, self.storms, self.minute = Clock(), Storms(), 0
        self.ledger = Ledger(client, now_ms=self.clock)
        self.letters = Letters(client, now_ms=self.clock)
        self.callers = [(INSTANCE, name) for name in ("old", "new", "newer")]
        self.out: dict[Caller, list[Claim]] = {caller: [] for caller in self.callers}
        self.weather = WEATHERS[0]
        client.hset(f"nightly:configs:{INSTANCE}", mapping=dict.fromkeys(("old", "new"), "proven"))

    def step(self) -> None:
        """Take one step; settlements check themselves."""
        self.clock.ms += self.chance.choice([5, 50, 61_000])
        steps = (self.events_arrive, self.calls_begin, self.calls_end, self.a_person_opens, self.a_reviewer_replays)
        (step,) = self.chance.choices(steps, (1, 6, 8, 0.5, 1))
        step()
        if self.chance.random() < 0.1:
            self.weather = self.chance.choice(WEATHERS)

    def events_arrive(self) -> None:
        """Record events for all logins, so that some calls in flight are overtaken."""
        self.minute += 1
        self.ledger.record(wishes(30, minute=self.minute))

    def calls_begin(self) -> None:
        caller = self.chance.choice(self.callers)
        for _ in range(8):
            self.clock.ms += 5
            terms = {"lease_seconds": 86_400, "settle_seconds": 3, "max_in_flight": 100, "fingerprint": caller[1]}
            claims = ledger_calls.claim(self.ledger, INSTANCE, at_most=4, **TERMS, **terms).claims
            assert not claims or caller not in self.storms.suspects, "a configuration calls after its storm"
            self.out[caller] += claims

    def calls_end(self) -> None:
        """End some calls of one configuration in one batch."""
        caller = self.chance.choice(self.callers)
        calls = [self.out[caller].pop(0) for _ in range(min(self.chance.randint(1, 6), len(self.out[caller])))]
        endings = self.chance.choices(list(ENDINGS), self.weather, k=len(calls))
        settlements = [self._settlement(call, ending) for call, ending in zip(calls, endings, strict=True)]
        results = ledger_calls.settle(self.ledger, INSTANCE, settlements, **TERMS, fingerprint=caller[1], rules=RULES)
        for settlement, result in zip(settlements, results, strict=True):
            self._judge(caller, settlement, result)
        standing = self.client.hget(f"nightly:configs:{INSTANCE}", caller[1])
        assert (standing == b"suspect") == (caller in self.storms.suspects), "a storm was ended or missed"
        suspects = {each.id for each in ledger_calls.list_letters(self.letters, only_suspects=True)}
        open_ones = {letter.decode() for letter in self.client.zrange("nightly:letters:open", 0, -1)}
        assert suspects == self.storms.letters & open_ones, "the suspects are not the letters of the storm"

    def _settlement(self, call: Claim, ending: str) -> Settlement:
        refusal = {"code": self.chance.choice(REFUSALS)} if ending == "dead" else {}
        return Settlement(call, ending, **ENDINGS[ending], **refusal)

    def _judge(self, caller: Caller, settlement: Settlement, result: Settled) -> None:
        if settlement.outcome == "applied":
            self.storms.confirm(caller)
        elif settlement.outcome == "dead":
            is_believed = caller not in self.storms.suspects
            assert (result is not Settled.HALTED) == is_believed, (
                "a storm was dead-lettered, or calls were held without one"
            )
            if is_believed:
                login = f"nightly:login:{settlement.claim.reference}"
                letter = self.client.hget(login, "x") if result is Settled.DEAD_LETTERED else b""
                self.seen["storm"] += self.storms.refuse(caller, settlement.claim.reference, letter.decode())
        if caller in self.storms.suspects:
            self.seen[f"{settlement.outcome} after a storm"] += 1

    def a_person_opens(self) -> None:
        gate = Views(self.client, now_ms=self.clock).gate(INSTANCE)
        GateKeeper(self.client, RULES, now_ms=self.clock).open(INSTANCE, by=ANN)
        is_storm = gate["state"] == "closed" and gate["cause"] == "storm"
        self.storms.open(INSTANCE, after_storm=is_storm)
        self.seen["opened after a storm"] += is_storm

    def a_reviewer_replays(self) -> None:
        for letter in ledger_calls.list_letters(self.letters):
            ledger_calls.close(self.letters, letter.id, self.chance.choice(["replayed", "resolved"]), by="bob")


@pytest.mark.parametrize("part", range(2))
def test_every_storm_is_detected_and_kept(redis_client: Redis, part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part * SCHEDULES, (part + 1) * SCHEDULES):
        schedule = StormSchedule(redis_client, Random(seed), seen)
        for _ in range(STEPS):
            schedule.step()
    expected = {f"{ending} after a storm" for ending in ENDINGS} | {"storm", "opened after a storm"}
    assert {what for what in expected if seen[what] > 1} == expected, dict(seen)
