"""The model that schedules are checked against: Flinks and wishes, independent of the Lua scripts.

It knows the newest wish of each login, the flag at Flinks (writes land at once, late, or never), and which calls are in
flight. `check` checks the promises by it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from worker.config.gate_thresholds import GateRules
from worker.ledger import Claim, Wish

INSTANCES = ("toolbox", "acme")
LOGINS = {f"lgn_{name:a<26}": INSTANCES[name in "ef"] for name in "abcdef"}
CALL_MS, MARGIN_MS = 2_000, 1_000
LEASE_MS = CALL_MS + MARGIN_MS
CALLS_PER_SECOND, MAX_IN_FLIGHT = 20, 3
RULES = GateRules(outage_ratio=0.5, outage_min_calls=4, outage_window_seconds=10, outage_in_a_row=5, storm_logins=3)
START_MS = 1_700_000_000_000
ENDED = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")


@dataclass(frozen=True)
class Worker:
    """A worker that claims, its configuration, and how long its calls may still land."""

    owner: str
    fingerprint: str
    settle_ms: int


WORKERS = (Worker("o1", "old", 7_000), Worker("o2", "new", 3_000))


@dataclass
class Flight:
    """A call in flight; lost once its lease was taken back. Its write may land before its response."""

    claim: Claim
    worker: Worker
    claimed_at: int
    has_landed: bool
    is_lost: bool = False
    probe_of: object = None
    """The outage that it tries the end of."""

    @property
    def login(self) -> str:
        return self.claim.reference

    @property
    def instance(self) -> str:
        return LOGINS[self.login]

    @property
    def caller(self) -> tuple[str, str]:
        """Return its instance and configuration."""
        return self.instance, self.worker.fingerprint


def order_of(wish: Wish) -> tuple[int, bool, bytes]:
    """Return the sort key of a wish, independently of the Lua scripts."""
    return wish.occurred_us, not wish.wants_active, wish.event_id.encode()


@dataclass
class World:
    """The state of the model, and the promises that it checks."""

    client: Redis
    seen: Counter[str]
    now: int = START_MS
    flags: dict[str, bool] = field(default_factory=dict)
    late: list[tuple[int, str, bool]] = field(default_factory=list)
    newest: dict[str, Wish] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    claimed_at: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    received: Counter[str] = field(default_factory=Counter)
    replays: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    revisions: Counter[str] = field(default_factory=Counter)

    def advance_to(self, now: int) -> None:
        """Let time pass, and late writes land meanwhile."""
        self.now = max(self.now, now)
        for entry in sorted(entry for entry in self.late if entry[0] <= self.now):
            self.late.remove(entry)
            self.flags[entry[1]] = entry[2]

    def land(self, flight: Flight, landing: str, given_up_at: int) -> None:
        """Make the write of a call unless it was made: at once, never, or as late as possible after its end."""
        if flight.has_landed:
            return
        if landing == "at once":
            self.flags[flight.login] = flight.claim.wants_active
        elif landing == "late":
            self.seen["an earlier call may still land"] += 1
            self.late.append((given_up_at + flight.worker.settle_ms - 1, flight.login, flight.claim.wants_active))
            self.advance_to(self.now)

    def judge_claim(self, flight: Flight) -> None:
        """Check P3 and P4 at a claim."""
        held = [other for other in self.flights if other.login == flight.login]
        assert all(other.is_lost for other in held), "P4: two calls in flight for one login"
        assert not [entry for entry in self.late if entry[1] == flight.login], "called while a call may still land"
        assert flight.claim.wants_active == self.newest[flight.login].wants_active, "P3: an old wish was claimed"
        assert flight.claim.failures <= self.failures[flight.login], "a failure of another wish was charged"
        self.seen["claim"] += 1
        self.seen["claim while a lost one is out"] += bool(held)

    def look(self, pipeline: Any) -> None:
        """Add to the pipeline what `check` looks at."""
        pipeline.zrange("nightly:letters:open", 0, -1)
        for instance in INSTANCES:
            pipeline.hgetall(f"nightly:tally:{instance}")
            pipeline.zcard(f"nightly:leases:{instance}")
        for login in self.newest:
            pipeline.hgetall(f"nightly:login:{login}")

    def check(self, found: Iterator[Any]) -> None:
        """Check the promises that hold at all times, by the replies to `look`."""
        open_letters = next(found)
        tallies = {instance: (next(found), next(found)) for instance in INSTANCES}
        logins: dict[str, dict[bytes, bytes]] = {login: next(found) for login in self.newest}
        for instance, (tally, in_flight) in tallies.items():
            self._check_tally(instance, tally, logins)
            assert in_flight <= MAX_IN_FLIGHT, "P6: too many calls in flight"
            self._check_rate(instance)
        for login, wish in self.newest.items():
            at = logins[login]
            expected = [str(wish.occurred_us), str(int(wish.wants_active)), wish.event_id]
            _, wants_active, occurred_us, _ = at[b"w"].decode().split(":")
            assert [occurred_us, wants_active, at[b"e"].decode()] == expected
            if at[b"s"] == b"done":
                assert self.flags[login] == wish.wants_active, "P2: a login at rest has another state than its wish"
        waiting = {at[b"x"]: at[b"s"] for at in logins.values() if b"x" in at}
        assert set(open_letters) == set(waiting)
        assert set(waiting.values()) <= {b"dead"}

    def _check_rate(self, instance: str) -> None:
        recent = self.claimed_at[instance][-30:]
        for calls, first in enumerate(reversed(recent)):
            assert recent[-1] - first >= (calls - 0.9) * 1000 / CALLS_PER_SECOND, "P6: calls too close to one another"

    def _check_tally(self, instance: str, tally: dict[bytes, bytes], logins: dict[str, dict[bytes, bytes]]) -> None:
        counts = {name.decode(): int(value) for name, value in tally.items()}
        assert counts.get("recorded", 0) == self.received[instance]
        assert counts.get("replayed", 0) == self.replays[instance]
        ended = sum(counts.get(name, 0) for name in ENDED)
        mine = [at for login, at in logins.items() if LOGINS[login] == instance]
        expected = ended + sum(map(unfinished, mine))
        assert self.received[instance] + self.replays[instance] == expected, "P5: an event is missing in the tally"


def unfinished(at: dict[bytes, Any]) -> int:
    """Return the events of one login that wait or are in flight and are not in the tally yet."""
    if at[b"s"] == b"due":
        return int(at.get(b"q") != b"1")
    if at[b"s"] == b"flight":
        _, revision, _, is_ended, _, _, _ = at[b"k"].split(b":")
        return (is_ended != b"1") + (at[b"w"].split(b":")[0] != revision and at.get(b"q") != b"1")
    return 0
