"""How workers claim logins and call Flinks in the random schedules, on time or long after they were stopped."""

from random import Random
from typing import Any

from tests import ledger_calls
from tests.integration.ledger.endings import Endings
from tests.integration.ledger.world import (
    CALLS_PER_SECOND,
    INSTANCES,
    LEASE_MS,
    MAX_IN_FLIGHT,
    WORKERS,
    Flight,
    Worker,
)
from worker.ledger import Claim, Settled

AWAITED = ("done", "dead", "flight", "due")
"""For which login a stopped worker wakes first: the rarest."""


class Calling(Endings):
    """The part of a schedule that claims logins."""

    def a_worker_claims(self, chance: Random) -> None:
        """Claim, mostly at the pace of the rate, sometimes after a login's rest."""
        self.world.advance_to(self.world.now + chance.choice([0, 60, 60, 60, 1500, 3000]))
        self._claim(chance.choice(INSTANCES), chance.choice(WORKERS), chance.randint(1, 5), chance.random() < 0.5)

    def _claim(self, instance: str, worker: Worker, at_most: int, land_now: bool) -> None:  # noqa: FBT001 - as it falls
        gate = self._gate_for(instance, worker)
        reply = ledger_calls.claim(
            self.ledger,
            instance,
            at_most=at_most,
            owner=worker.owner,
            worker=worker.owner,
            lease_seconds=LEASE_MS / 1000,
            settle_seconds=worker.settle_ms / 1000,
            calls_per_second=CALLS_PER_SECOND,
            max_in_flight=MAX_IN_FLIGHT,
            fingerprint=worker.fingerprint,
        )
        self._take(worker, reply.claims, gate, land_now)

    def _take(self, worker: Worker, claims: list[Claim], gate: tuple[dict[str, Any], bytes | None], land: bool) -> None:  # noqa: FBT001 - as it falls
        for claim in claims:
            flight = Flight(claim, worker, self.world.now, has_landed=land)
            self._judge_gate(flight, *gate)
            self.world.judge_claim(flight)
            self.world.flights.append(flight)
            self.world.claimed_at[flight.instance].append(self.world.now)
            if land:
                self.world.flags[flight.login] = claim.wants_active

    def _judge_gate(self, flight: Flight, gate: dict[str, object], standing: bytes | None) -> None:
        is_condemned = standing in {b"refused", b"suspect"} or flight.caller in self.storms.suspects
        assert not is_condemned, "a refused configuration claimed a call"
        if gate["state"] == "open":
            return
        assert gate["cause"] != "operator", "a call was claimed behind a gate that a person shut"
        if gate["cause"] == "outage":
            flight.probe_of = flight.instance, gate["changed_at"]
            out = [other for other in self.world.flights if other.probe_of == flight.probe_of]
            ended = [other.claimed_at + LEASE_MS <= self.world.now for other in out]
            assert all(ended), "two trial calls of one outage at once"
            self.seen["probe"] += 1

    def a_stopped_worker_wakes(self, chance: Random) -> None:
        """Resume a worker that was stopped just before it sent its call: the call may time out and land later."""
        lost = [flight for flight in self.world.flights if flight.is_lost]
        if not lost:
            return
        states = [self.client.hget(f"nightly:login:{flight.login}", "s").decode() for flight in lost]
        state = min(states, key=AWAITED.index)
        if state == "due" and chance.random() < 0.9:
            return  # most sleep until their login was called again
        flight = chance.choice([flight for flight, at in zip(lost, states, strict=True) if at == state])
        self.world.flights.remove(flight)
        if chance.random() < 0.5:
            self.seen[f"timed out for a stopped worker: {state}"] += 1
            self.world.land(flight, chance.choice(["at once", "never", "late", "late"]), self.world.now)
            ending = {"rest_seconds": flight.worker.settle_ms / 1000, "flags": "a"}
            assert self._settle(flight, None, chance.choice(["transient", "dead"]), **ending) is Settled.FENCED
            return
        self.world.flags[flight.login] = flight.claim.wants_active
        self.seen[f"written by a stopped worker: {state}"] += 1
        outcome = chance.choice(["applied", "applied", "transient", "dead"])
        assert self._settle(flight, None, outcome, code="INVALID_LOGIN") is Settled.FENCED
