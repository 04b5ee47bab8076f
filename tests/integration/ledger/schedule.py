"""A model of Flinks, workers, reviewers and time around the real ledger, and the promises checked at every step.

The model knows three things: the newest wish of each login, what Flinks' flag is (writes land at once,
late, or never), and which claims are out. Every choice comes from a random generator given from outside,
so a schedule is a list of seeds.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from redis import Redis

from worker.errors import LetterClosed
from worker.ledger import Claim, Lane, Ledger, Letters, Recorded, Settled, Settlement, Wish
from worker.ledger.gate import GateKeeper

INSTANCE, FINGERPRINT = "toolbox", "fp"
LOGINS = [f"lgn_{name:a<26}" for name in "abc"]
CALL_MS, MARGIN_MS, SETTLE_MS = 2_000, 1_000, 3_000
LEASE_MS = CALL_MS + MARGIN_MS
CALLS_PER_SECOND, MAX_IN_FLIGHT = 20, 2
START_MS = 1_700_000_000_000
ENDED = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")


@dataclass
class Flight:
    """A claim that is out; lost once its lease was taken back. Its write may have landed before its answer."""

    claim: Claim
    claimed_at: int
    has_landed: bool
    is_lost: bool = False


def order_of(wish: Wish) -> tuple[int, bool, bytes]:
    """The order of wishes, said once more and independently of the Lua."""
    return wish.occurred_us, not wish.wants_active, wish.event_id.encode()


class Schedule:
    """One schedule, from an empty ledger until all is quiet."""

    def __init__(self, client: Redis, seen: Counter[str]) -> None:
        client.flushall()
        self.client, self.seen = client, seen
        self.now, self.second = START_MS, 0
        self.ledger = Ledger(client, now_ms=lambda: self.now)
        self.letters = Letters(client, now_ms=lambda: self.now)
        self.flags: dict[str, bool] = {}
        self.late: list[tuple[int, str, bool]] = []
        self.newest: dict[str, Wish] = {}
        self.flights: list[Flight] = []
        self.claimed_at: list[int] = []
        self.received = self.replays = 0
        self._prove_configuration()
        self._steps = [
            (4, self.events_arrive),
            (7, self.a_worker_claims),
            (8, self.a_call_ends),
            (1, self.a_stopped_worker_wakes),
            (1, self.time_passes),
            (1, self.two_reviewers_close_a_letter),
        ]

    def step(self, chance: Random) -> None:
        """Take one step and check every promise that must hold at all times."""
        weights, steps = zip(*self._steps, strict=True)
        (step,) = chance.choices(steps, weights)
        step(chance)
        self.check()

    # -- events ------------------------------------------------------------------------------------------

    def events_arrive(self, chance: Random) -> None:
        """Around a clock that moves on: newer than all before, older, of the same instant, and again."""
        self.second += chance.randint(0, 1)
        wishes = [self._wish(chance) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.3:
            wishes += wishes[:1]
        for wish, result in zip(wishes, self.ledger.record(wishes), strict=True):
            self._check_recorded(wish, result)
        if chance.random() < 0.1:
            ahead = Wish(LOGINS[0], INSTANCE, b"", (self.now + 7 * 86_400_000) * 1000, True, "next week")  # noqa: FBT003
            assert self.ledger.record([ahead]) == [Recorded.AHEAD]

    def _wish(self, chance: Random) -> Wish:
        occurred_us = (START_MS // 1000 + self.second + chance.randint(-2, 1)) * 1_000_000
        lane, name = chance.choice(list(Lane)), chance.choice(["e1", "e2", "\u00e9", "e"])
        return Wish(chance.choice(LOGINS), INSTANCE, b"sealed", occurred_us, chance.random() < 0.5, name, None, lane)

    def _check_recorded(self, wish: Wish, result: Recorded) -> None:
        known = self.newest.get(wish.reference)
        self.received += 1
        if known is None or order_of(wish) > order_of(known):
            assert result is Recorded.RECORDED
            self.newest[wish.reference] = wish
        elif order_of(wish) == order_of(known):
            assert result is Recorded.DUPLICATE
        else:
            assert result is Recorded.SUPERSEDED
        self.seen[f"event {result}"] += 1

    # -- time --------------------------------------------------------------------------------------------

    def time_passes(self, chance: Random) -> None:
        """Milliseconds, or hours."""
        self._advance_to(self.now + chance.choice([1, 50, 500, LEASE_MS + 1, 3_600_000]))
        self._pulse()

    def _advance_to(self, now: int) -> None:
        self.now = max(self.now, now)
        for entry in sorted(entry for entry in self.late if entry[0] <= self.now):
            self.late.remove(entry)
            self.flags[entry[1]] = entry[2]

    def _pulse(self) -> None:
        self.ledger.pulse({INSTANCE: FINGERPRINT}, rest_after_lease_seconds=(SETTLE_MS - MARGIN_MS) / 1000)
        for flight in self.flights:
            flight.is_lost = flight.is_lost or flight.claimed_at + LEASE_MS <= self.now

    # -- calls -------------------------------------------------------------------------------------------

    def a_worker_claims(self, chance: Random) -> None:
        """Mostly at the pace that the rate allows, sometimes after a login's rest."""
        self._advance_to(self.now + chance.choice([0, 60, 60, 60, 1500, SETTLE_MS]))
        self._claim(chance.randint(1, 5), land_now=chance.random() < 0.5)

    def _claim(self, at_most: int, *, land_now: bool) -> None:
        reply = self.ledger.claim(
            INSTANCE,
            at_most=at_most,
            owner="o",
            worker="w",
            lease_seconds=LEASE_MS / 1000,
            calls_per_second=CALLS_PER_SECOND,
            max_in_flight=MAX_IN_FLIGHT,
            fingerprint=FINGERPRINT,
        )
        for claim in reply.claims:
            login = claim.reference
            held = [flight for flight in self.flights if flight.claim.reference == login]
            assert all(flight.is_lost for flight in held), "P4: two calls in flight for one login"
            assert not [entry for entry in self.late if entry[1] == login], (
                "called while an earlier call may still land"
            )
            assert claim.wants_active == self.newest[login].wants_active, "P3: an old wish was claimed"
            self.flights.append(Flight(claim, self.now, has_landed=land_now))
            if land_now:
                self.flags[login] = claim.wants_active
            self.claimed_at.append(self.now)
            self.seen["claim"] += 1
            self.seen["claim while a lost one is out"] += bool(held)

    def a_call_ends(self, chance: Random) -> None:
        """In each way there is."""
        flights = [flight for flight in self.flights if not flight.is_lost]
        if flights:
            flight = chance.choice(flights)
            self.flights.remove(flight)
            endings = (
                self._is_confirmed,
                self._is_confirmed,
                self._fails_for_now,
                self._times_out,
                self._is_throttled,
                self._is_refused_for_good,
                self._finds_our_key_refused,
                self._is_never_made,
                self._kills_its_worker,
                self._outlives_its_lease,
            )
            chance.choice(endings)(flight, chance)

    def _is_confirmed(self, flight: Flight, _: Random) -> None:
        self._land(flight, "at once")
        assert self._settle(flight, "applied", code="applied") in {Settled.APPLIED, Settled.OVERTAKEN}

    def _fails_for_now(self, flight: Flight, chance: Random) -> None:
        assert self._settle(flight, "transient", delay_seconds=chance.choice([0, 0.4, 30])) is Settled.WAITING

    def _times_out(self, flight: Flight, chance: Random) -> None:
        self._land(flight, chance.choice(["at once", "never", "late", "late"]))
        self._settle(flight, "transient", rest_seconds=SETTLE_MS / 1000, flags="a")

    def _is_throttled(self, flight: Flight, chance: Random) -> None:
        self._settle(flight, "throttled", delay_seconds=0.1, retry_after_seconds=chance.choice([0, 2]))
        failures = int(self.client.hget(f"nightly:login:{flight.claim.reference}", "n") or 0)
        assert failures <= flight.claim.failures, "being throttled was charged"

    def _is_refused_for_good(self, flight: Flight, _: Random) -> None:
        result = self._settle(flight, "dead", code="INVALID_LOGIN", http_status=400)
        assert result in {Settled.PARKED, Settled.PARKED_NEW_GROUP, Settled.OVERTAKEN}

    def _finds_our_key_refused(self, flight: Flight, _: Random) -> None:
        assert self._settle(flight, "halt", code="ACCESS_DENIED", http_status=401) is Settled.HALTED_NOW
        assert self.ledger.pulse({INSTANCE: FINGERPRINT}).due == 0
        GateKeeper(self.client).open(INSTANCE, by="test")
        self._prove_configuration()

    def _is_never_made(self, flight: Flight, _: Random) -> None:
        assert self._settle(flight, "unsent") is Settled.UNSENT

    def _kills_its_worker(self, flight: Flight, chance: Random) -> None:
        self._land(flight, chance.choice(["at once", "never", "late", "late"]))
        self._lose(flight)

    def _outlives_its_lease(self, flight: Flight, _: Random) -> None:
        self.flights.append(flight)
        self._lose(flight)
        assert flight.is_lost

    def _lose(self, flight: Flight) -> None:
        self.seen["lease lost"] += 1
        self._advance_to(flight.claimed_at + LEASE_MS)
        self._pulse()

    def a_stopped_worker_wakes(self, chance: Random) -> None:
        """It was stopped in the instant before it sent: the worst there is."""
        lost = [flight for flight in self.flights if flight.is_lost]
        if lost:
            flight = chance.choice(lost)
            self.flights.remove(flight)
            login = flight.claim.reference
            self.flags[login] = flight.claim.wants_active
            self.seen[f"written by a stopped worker: {self.client.hget(f'nightly:login:{login}', 's').decode()}"] += 1
            outcome = chance.choice(["applied", "applied", "transient", "dead"])
            assert self._settle(flight, outcome, code="INVALID_LOGIN") is Settled.FENCED

    def _land(self, flight: Flight, landing: str) -> None:
        login, wish = flight.claim.reference, flight.claim.wants_active
        if flight.has_landed:
            return
        if landing == "at once":
            self.flags[login] = wish
        elif landing == "late":
            self.seen["an earlier call may still land"] += 1
            self.late.append((min(self.now, flight.claimed_at + CALL_MS) + SETTLE_MS - 1, login, wish))
            self._advance_to(self.now)

    def _settle(self, flight: Flight, outcome: str, **fields: object) -> Settled:
        settlement = Settlement(flight.claim, outcome, **fields)  # type: ignore[arg-type]
        rate = {"owner": "o", "fingerprint": FINGERPRINT, "calls_per_second": CALLS_PER_SECOND}
        (result,) = self.ledger.settle(INSTANCE, [settlement], **rate)  # type: ignore[arg-type]
        self.seen[f"{outcome} -> {result}"] += 1
        return result

    def _prove_configuration(self) -> None:
        self.client.hset(f"nightly:configs:{INSTANCE}", FINGERPRINT, "proven")

    # -- people ------------------------------------------------------------------------------------------

    def two_reviewers_close_a_letter(self, chance: Random) -> None:
        """The same one, at once: one of them is told that it is closed."""
        letters = list(self.letters.list())
        if letters:
            letter, action = chance.choice(letters), chance.choice(["replayed", "resolved"])
            assert self.letters.close(letter.id, action, by="reviewer") == action
            self.replays += action == "replayed"
            self.seen[action] += 1
            try:
                self.letters.close(letter.id, "replayed", by="slower")
            except LetterClosed:
                return
            raise AssertionError("two reviewers closed one letter")

    # -- promises ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold at all times."""
        tally, in_flight, open_letters, *stored = self._look()
        logins = dict(zip(self.newest, stored, strict=True))
        counts = {name.decode(): int(value) for name, value in tally.items()}
        assert counts.get("recorded", 0) == self.received
        assert counts.get("replayed", 0) == self.replays
        ended = sum(counts.get(name, 0) for name in ENDED)
        assert self.received + self.replays == ended + self.unfinished(logins), "P5: an event is unaccounted for"
        assert in_flight <= MAX_IN_FLIGHT, "P6: too many in flight"
        recent = self.claimed_at[-30:]
        for calls, first in enumerate(reversed(recent)):
            assert recent[-1] - first >= (calls - 0.9) * 1000 / CALLS_PER_SECOND, "P6: calls too close to one another"
        for login, wish in self.newest.items():
            at = logins[login]
            expected = [str(wish.occurred_us), str(int(wish.wants_active)), wish.event_id]
            assert [at[b"t"], at[b"w"], at[b"e"]] == [text.encode() for text in expected]
            if at[b"s"] == b"done":
                assert self.flags[login] == wish.wants_active, "P2: a login at rest does not stand as wished"
        waiting = {at[b"x"]: at[b"s"] for at in logins.values() if b"x" in at}
        assert set(open_letters) == set(waiting)
        assert set(waiting.values()) <= {b"dead"}

    def _look(self) -> list[Any]:
        with self.client.pipeline() as pipeline:
            pipeline.hgetall(f"nightly:tally:{INSTANCE}")
            pipeline.zcard(f"nightly:leases:{INSTANCE}")
            pipeline.zrange("nightly:letters:open", 0, -1)
            for login in self.newest:
                pipeline.hgetall(f"nightly:login:{login}")
            return list(pipeline.execute())

    @staticmethod
    def unfinished(logins: dict[str, dict[bytes, bytes]]) -> int:
        """Events that are still waiting or in flight and in no place of the tally."""
        count = 0
        for at in logins.values():
            if at[b"s"] == b"due":
                count += at[b"q"] != b"1"
            elif at[b"s"] == b"flight":
                count += (at[b"y"] != b"1") + (at[b"r"] != at[b"c"] and at[b"q"] != b"1")
        return count

    def come_to_rest(self) -> None:
        """Let every call succeed from here on until nothing is due, then check P2."""
        for _ in range(100):
            self._advance_to(self.now + LEASE_MS)
            self._pulse()
            self._claim(5, land_now=False)
            for flight in [flight for flight in self.flights if not flight.is_lost]:
                self.flights.remove(flight)
                self._is_confirmed(flight, Random())
            if not self.client.exists(*(f"nightly:due:{INSTANCE}:{lane}" for lane in Lane)) and not self.late:
                break
        self.check()
        for login, wish in self.newest.items():
            state, confirmed = self.client.hmget(f"nightly:login:{login}", ["s", "pw"])
            assert state in {b"done", b"dead"}
            if state == b"done":
                assert self.flags[login] == wish.wants_active == (confirmed == b"1"), "P2: a wrong final state"
