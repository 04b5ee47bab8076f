"""Random schedules: steps of producers, workers, Flinks, reviewers and time, on the real ledger.

A schedule is a list of seeds, and the same seeds give the same schedule: nothing may depend on the time of day,
on random ids, or on an order that Redis does not promise. After each step the promises are checked (`world.py`).
"""

from collections import Counter
from itertools import count
from random import Random

from redis import Redis

from tests.integration.ledger.backfilling import Backfilling
from tests.integration.ledger.bulking import Bulking
from tests.integration.ledger.calling import Calling
from tests.integration.ledger.people import People
from tests.integration.ledger.rows import Listed, Rows
from tests.integration.ledger.storms import Storms
from tests.integration.ledger.world import (
    CALL_MS,
    INSTANCES,
    LEASE_MS,
    LOGINS,
    RULES,
    START_MS,
    WORKERS,
    Flight,
    World,
    order_of,
)
from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.ledger import Lane, Ledger, Letters, Recorded, Settled, Settlement, Wish
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views
from worker.vault.vault import Vault

VAULT = Vault([bytes(32)])

GUID = "e1c1b1a0-0000-4000-8000-00000000000e"


class Schedule(Backfilling, Bulking, Calling, People):
    """One schedule, from an empty ledger until nothing is left to do."""

    def __init__(self, client: Redis, seen: Counter[str]) -> None:
        client.flushall()
        self.client, self.seen = client, seen
        self.world = World(client, seen)
        self.second = 0
        self.ledger = Ledger(client, now_ms=self._clock)
        self.letters = Letters(client, now_ms=self._clock)
        self.gates = GateKeeper(client, RULES, now_ms=self._clock)
        self.views = Views(client, now_ms=self._clock)
        numbers = count(1)
        self.backfills = Backfills(client, VAULT, now_ms=self._clock, new_id=lambda: f"bf-{next(numbers):010}")
        self.jobs = Jobs(client, now_ms=self._clock, new_id=lambda: f"job-{next(numbers):010}")
        self.listed: list[Listed] = []
        self.rows, self.storms = Rows(seen), Storms()
        self.moods = dict.fromkeys(INSTANCES, "well")
        self.stale: list[tuple[Flight, Settlement]] = []
        self.sent, self.claims_too = 0, True
        for instance in INSTANCES:
            client.hset(f"nightly:configs:{instance}", mapping={worker.fingerprint: "proven" for worker in WORKERS})
        self._steps = [
            (5, self.events_arrive),
            (9, self.a_worker_claims),
            (11, self.a_call_ends),
            (2, self.a_stopped_worker_wakes),
            (0.5, self.the_clock_steps_forward),
            (1, self.a_lost_reply_is_asked_for_again),
            (1, self.time_passes),
            (1, self.two_reviewers_close_a_letter),
            (0.5, self.a_person_corrects_a_letter),
            (1, self.flinks_changes_its_mood),
            (1, self.a_person_turns_a_gate),
            (1, self.a_backfill_begins),
            (4, self.a_backfill_is_fed),
            (0.5, self.a_person_steers_a_backfill),
            (1, self.a_bulk_job_begins),
            (3, self.a_bulk_job_is_fed),
            (0.4, self.a_person_steers_a_bulk_job),
        ]

    def _clock(self) -> int:
        return self.world.now

    def step(self, chance: Random) -> None:
        """Take one step and check every promise that must hold at all times."""
        weights, steps = zip(*self._steps, strict=True)
        (step,) = chance.choices(steps, weights)
        step(chance)
        self.check()

    def check(self) -> None:
        """Check every promise that must hold at all times, by one look at Redis."""
        with self.client.pipeline(transaction=False) as pipeline:
            self.world.look(pipeline)
            self.look_at_rows(pipeline)
            self.look_at_jobs(pipeline)
            found = iter(pipeline.execute())
        self.world.check(found)
        self.check_rows(found)
        self.check_jobs(found)

    # -- events ------------------------------------------------------------------------------------------

    def events_arrive(self, chance: Random) -> None:
        """Record events that are newer than all before, older, of the same instant, or repeated."""
        self.second += chance.randint(0, 1)
        wishes = [self._wish(chance) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.3:
            wishes += wishes[:1]
        for wish, result in zip(wishes, self.ledger.record(wishes), strict=True):
            self._check_recorded(wish, result)
        if chance.random() < 0.1:
            week_ahead = (self.world.now + 7 * 86_400_000) * 1000
            ahead = Wish("lgn_ahead", INSTANCES[0], b"", week_ahead, wants_active=True, event_id="next week")
            assert self.ledger.record([ahead]) == [Recorded.AHEAD]

    def _wish(self, chance: Random) -> Wish:
        occurred_us = (START_MS // 1000 + self.second + chance.randint(-2, 1)) * 1_000_000
        login, lane, name = (
            chance.choice(list(LOGINS)),
            chance.choice(list(Lane)),
            chance.choice(["e1", GUID, "é", "e"]),
        )
        return Wish(login, LOGINS[login], b"sealed", occurred_us, chance.random() < 0.5, name, None, lane)

    def _check_recorded(self, wish: Wish, result: Recorded) -> None:
        known = self.world.newest.get(wish.reference)
        self.world.received[wish.instance] += 1
        if known is None or order_of(wish) > order_of(known):
            assert result is Recorded.RECORDED
            self.world.newest[wish.reference] = wish
            self.world.revisions[wish.reference] += 1
            self.rows.replace(wish.reference)
            self.world.failures[wish.reference] = 0
        elif order_of(wish) == order_of(known):
            assert result is Recorded.DUPLICATE
        else:
            assert result is Recorded.SUPERSEDED
        self.seen[f"event {result}"] += 1

    # -- time --------------------------------------------------------------------------------------------

    def time_passes(self, chance: Random) -> None:
        """Advance the clock by milliseconds or hours."""
        self.world.advance_to(
            self.world.now + chance.choice([1, 50, 500, LEASE_MS + 1, 5_000, 40_000, 60_000, 3_600_000])
        )
        self._pulse()

    def the_clock_steps_forward(self, _: Random) -> None:
        """End every lease early, with its call in flight. A running rest is cut short, as the docs say."""
        if not self.world.late:
            self.seen["the clock steps forward"] += bool(self.world.flights)
            self.world.advance_to(self.world.now + 40_000)
            self._pulse()

    def a_lost_reply_is_asked_for_again(self, chance: Random) -> None:
        """Send a settlement again, at any time and after any change of its login."""
        if self.stale:
            result = self._send(*self.stale.pop(chance.randrange(len(self.stale))))
            assert result in {Settled.REPEATED, Settled.FENCED}
            self.seen[f"asked again late -> {result}"] += 1

    def come_to_rest(self) -> None:
        """Let every call succeed from here on until nothing is due, then check P2."""
        self.moods, self.claims_too = dict.fromkeys(INSTANCES, "well"), False
        for instance in INSTANCES:
            self._open(instance)
        self.finish_jobs()
        self.replay_what_is_open()
        for _ in range(100):
            self.world.advance_to(self.world.now + LEASE_MS + CALL_MS)
            self._pulse()
            self.finish_backfills()
            self.finish_jobs()
            for instance in INSTANCES:
                self._claim(instance, WORKERS[1], 5, land_now=False)
            for flight in [flight for flight in self.world.flights if not flight.is_lost]:
                self.world.flights.remove(flight)
                self._is_confirmed(flight, Random(1))
            due = [f"nightly:due:{instance}:{lane}" for instance in INSTANCES for lane in Lane]
            if not self.client.exists(*due) and not self.world.late:
                break
        self.check()
        assert not self.unended_jobs(), "a bulk job has not ended though nothing is left to do"
        assert not self._unended(), "a backfill has not ended though nothing is left to do"
        for login, wish in self.world.newest.items():
            state, confirmed = self.client.hmget(f"nightly:login:{login}", ["s", "C"])
            assert state in {b"done", b"dead"}
            if state == b"done":
                is_on = confirmed.split(b":")[1] == b"1"
                assert self.world.flags[login] == wish.wants_active == is_on, "P2: a wrong final state"
