"""How calls end in the random schedules: in every way that Flinks, the network or their worker can cause."""

from collections import Counter
from random import Random
from typing import Any

from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.rows import Rows
from tests.integration.ledger.storms import Storms
from tests.integration.ledger.world import (
    CALLS_PER_SECOND,
    INSTANCES,
    LEASE_MS,
    MAX_IN_FLIGHT,
    RULES,
    WORKERS,
    Flight,
    Worker,
    World,
)
from worker.backfill.models import RowOutcome
from worker.ledger import Claim, Ledger, Letters, Settled, Settlement
from worker.ledger.queries import Views

DOWN = "d"


class Endings:
    """The part of a schedule that settles calls or loses them."""

    client: Redis
    seen: Counter[str]
    world: World
    rows: Rows
    storms: Storms
    ledger: Ledger
    letters: Letters
    views: Views
    moods: dict[str, str]
    stale: list[tuple[Flight, Settlement]]
    sent: int
    claims_too: bool

    def a_call_ends(self, chance: Random) -> None:
        """End one call, in a random way."""
        flights = [flight for flight in self.world.flights if not flight.is_lost]
        if not flights:
            return
        flight = chance.choice(flights)
        self.world.flights.remove(flight)
        well = (
            self._is_confirmed,
            self._is_confirmed,
            self._is_confirmed,
            self._fails_for_now,
            self._times_out,
            self._times_out_for_the_last_time,
            self._is_throttled,
            self._is_refused_for_good,
            self._is_invalid,
            self._finds_our_key_refused,
            self._is_never_made,
            self._is_never_made,
            self._kills_its_worker,
            self._kills_its_worker,
            self._kills_its_worker,
            self._outlives_its_lease,
        )
        by_mood = {
            "well": well,
            "down": (self._fails_for_now, self._fails_for_now, self._times_out, self._times_out_for_the_last_time),
            "refuses every login": (self._is_invalid,),
            "our key is refused, too": (self._is_invalid, self._is_invalid, self._finds_our_key_refused),
            "has no host": (self._finds_no_host,),
            "one login is refused": (self._finds_our_key_refused,) if flight.login.startswith("lgn_a") else well[:3],
        }
        chance.choice(by_mood[self.moods[flight.instance]])(flight, chance)

    def _is_confirmed(self, flight: Flight, chance: Random) -> None:
        self.world.land(flight, "at once", self.world.now)
        assert self._settle(flight, chance, "applied", code="applied") in {Settled.APPLIED, Settled.OVERTAKEN}
        self.storms.confirm(flight.caller)

    def _fails_for_now(self, flight: Flight, chance: Random) -> None:
        flags = DOWN if self.moods[flight.instance] == "down" else ""
        self._fail(flight, chance, delay_seconds=chance.choice([0, 0.4, 30]), flags=flags)

    def _times_out(self, flight: Flight, chance: Random) -> None:
        self.world.land(flight, chance.choice(["at once", "never", "late", "late"]), self.world.now)
        self._fail(flight, chance, rest_seconds=flight.worker.settle_ms / 1000, flags="a" + DOWN)

    def _times_out_for_the_last_time(self, flight: Flight, chance: Random) -> None:
        self.world.land(flight, chance.choice(["at once", "never", "late", "late"]), self.world.now)
        ending = {"code": "retries_exhausted", "rest_seconds": flight.worker.settle_ms / 1000, "flags": "a" + DOWN}
        result = self._settle(flight, chance, "dead", **ending)
        assert result in {Settled.DEAD_LETTERED, Settled.OVERTAKEN, Settled.HALTED}

    def _fail(self, flight: Flight, chance: Random, **fields: object) -> None:
        was_shut = self.views.gate(flight.instance).get("cause") == "outage"
        before = self.client.hget(f"nightly:login:{flight.login}", "n")
        self.world.failures[flight.login] += 1
        assert self._settle(flight, chance, "transient", **fields) is Settled.WAITING
        if was_shut and self.views.gate(flight.instance)["state"] != "open":
            is_charged = self.client.hget(f"nightly:login:{flight.login}", "n") != before
            if DOWN in str(fields["flags"]):
                assert not is_charged, "charged in an outage"
                self.seen["failed in an outage"] += 1
            else:  # an answer that Flinks itself gave counts against its login, whatever the gate says
                is_newest = flight.claim.revision == self.world.revisions[flight.login]
                assert is_charged == is_newest, "an answer of Flinks' own in an outage is charged to the newest wish"

    def _is_throttled(self, flight: Flight, chance: Random) -> None:
        self._settle(flight, chance, "throttled", delay_seconds=0.1, retry_after_seconds=chance.choice([0, 2]))

    def _is_refused_for_good(self, flight: Flight, chance: Random) -> None:
        result = self._settle(flight, chance, "dead", code="DISABLED_LOGIN", http_status=401)
        assert result in {Settled.DEAD_LETTERED, Settled.OVERTAKEN}

    def _is_invalid(self, flight: Flight, chance: Random) -> None:
        """Flinks refuses the login: dead-lettered until exactly the login that makes a storm, held from then on."""
        is_believed = flight.caller not in self.storms.suspects
        result = self._settle(flight, chance, "dead", code=chance.choice(["INVALID_LOGIN", "UNAUTHORIZED"]))
        assert (result is not Settled.HALTED) == is_believed, (
            "a storm was dead-lettered, or a gate shut without a storm"
        )
        if not is_believed:
            self.seen["invalid after a storm"] += 1
            return
        letter = self.client.hget(f"nightly:login:{flight.login}", "x") if result is Settled.DEAD_LETTERED else b""
        is_storm = self.storms.refuse(flight.caller, flight.login, letter.decode())
        standing = self.client.hget(f"nightly:configs:{flight.instance}", flight.worker.fingerprint)
        assert (standing == b"suspect") == is_storm, "a storm was missed, or detected without cause"
        if is_storm:
            self.seen["storm"] += 1
            suspects = {each.id for each in ledger_calls.list_letters(self.letters, only_suspects=True)}
            open_ones = {each.id for each in ledger_calls.list_letters(self.letters)}
            assert suspects == self.storms.letters & open_ones, "the suspects are not the letters of the storm"

    def _finds_our_key_refused(self, flight: Flight, chance: Random) -> None:
        result = self._settle(flight, chance, "halt", code="ACCESS_DENIED", http_status=401)
        assert result in {Settled.HALTED, Settled.DEAD_LETTERED, Settled.OVERTAKEN}

    def _finds_no_host(self, flight: Flight, chance: Random) -> None:
        self._fail(flight, chance, delay_seconds=chance.choice([0, 30]), flags="dh")
        standing = self.client.hget(f"nightly:configs:{flight.instance}", flight.worker.fingerprint)
        self.seen["unreachable"] += standing == b"unreachable"

    def _is_never_made(self, flight: Flight, chance: Random) -> None:
        if flight.has_landed:
            self._is_confirmed(flight, chance)
        else:
            assert self._settle(flight, chance, "unsent") is Settled.UNSENT

    def _kills_its_worker(self, flight: Flight, chance: Random) -> None:
        """The worker dies; its call may have begun as late as possible, so that its deadline ends with the lease."""
        given_up_at = flight.claimed_at + LEASE_MS
        self.world.land(flight, chance.choice(["at once", "never", "late", "late", "late", "late"]), given_up_at)
        self._lose(flight)

    def _outlives_its_lease(self, flight: Flight, _: Random) -> None:
        self.world.flights.append(flight)
        self._lose(flight)
        assert flight.is_lost

    def _lose(self, flight: Flight) -> None:
        self.seen["lease lost"] += 1
        self.world.advance_to(flight.claimed_at + LEASE_MS)
        self._pulse()

    def _settle(self, flight: Flight, chance: Random | None, outcome: str, **fields: object) -> Settled:
        claim = flight.claim
        settlement = ledger_calls.ended(claim, outcome, attempt=f'[{claim.number},"{outcome}"]', **fields)
        result = self._send(flight, settlement)
        self.seen[f"{outcome} -> {result}"] += 1
        if flight.caller in self.storms.suspects:
            standing = self.client.hget(f"nightly:configs:{flight.instance}", flight.worker.fingerprint)
            assert standing == b"suspect", "a storm was ended by another result"
        self._end_row(flight, result, outcome, str(fields.get("code", "")))
        if chance is not None and chance.random() < 0.2:
            is_out_again = any(one.login == flight.login and not one.is_lost for one in self.world.flights)
            assert self._send(flight, settlement) is (Settled.FENCED if is_out_again else Settled.REPEATED)
            self.seen["reply lost"] += 1
            self.stale.append((flight, settlement))
        return result

    def _end_row(self, flight: Flight, result: Settled, outcome: str, code: str) -> None:
        """End the row that waits for the login's wish, if the call was for that wish."""
        is_confirmed = outcome == "applied" and result in {Settled.APPLIED, Settled.OVERTAKEN}
        if is_confirmed and flight.claim.revision == self.world.revisions[flight.login]:
            self.rows.end(flight.login, RowOutcome.APPLIED)
        elif result is Settled.DEAD_LETTERED:
            letter = self.client.hget(f"nightly:login:{flight.login}", "z")
            self.rows.end(flight.login, RowOutcome.DEAD, code if outcome == "dead" else letter.decode())

    def _send(self, flight: Flight, settlement: Settlement) -> Settled:
        """Settle; every second time, claim in the same script."""
        self.sent += 1
        if self.claims_too and self.sent % 2:
            return self._send_and_claim(flight, settlement)
        (result,) = ledger_calls.settle(
            self.ledger,
            flight.instance,
            [settlement],
            owner=flight.worker.owner,
            fingerprint=flight.worker.fingerprint,
            calls_per_second=CALLS_PER_SECOND,
            rules=RULES,
        )
        return result

    def _send_and_claim(self, flight: Flight, settlement: Settlement) -> Settled:
        (result,), reply = ledger_calls.settle_and_claim(
            self.ledger,
            flight.instance,
            [settlement],
            owner=flight.worker.owner,
            worker=flight.worker.owner,
            fingerprint=flight.worker.fingerprint,
            calls_per_second=CALLS_PER_SECOND,
            rules=RULES,
            at_most=2,
            lease_seconds=LEASE_MS / 1000,
            settle_seconds=flight.worker.settle_ms / 1000,
            max_in_flight=MAX_IN_FLIGHT,
        )
        self.seen["claimed with a settlement"] += len(reply.claims)
        self._take(flight.worker, reply.claims, self._gate_for(flight.instance, flight.worker), self.sent % 4 == 1)
        return result

    def _gate_for(self, instance: str, worker: Worker) -> tuple[dict[str, Any], bytes | None]:
        """Return the gate, and the standing of the worker's configuration."""
        standing = self.client.hget(f"nightly:configs:{instance}", worker.fingerprint)
        return self.views.gate(instance), standing

    def _take(self, worker: Worker, claims: list[Claim], gate: tuple[dict[str, Any], bytes | None], land: bool) -> None:  # noqa: FBT001 - as it falls
        raise NotImplementedError

    def _pulse(self) -> None:
        fingerprints = dict.fromkeys(INSTANCES, WORKERS[0].fingerprint)
        self.ledger.pulse(fingerprints, worker="pacemaker", slots=2)
        for flight in self.world.flights:
            flight.is_lost = flight.is_lost or flight.claimed_at + LEASE_MS <= self.world.now
        self.look_for_given_up()

    def look_for_given_up(self) -> None:
        raise NotImplementedError
