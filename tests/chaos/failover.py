"""The primary dies, freezes or is cut off under load: which events are lost or wrong, and how soon clients are back.

Producers repeat an event until Redis has acknowledged it (with WAIT on request, a replica too). Most events have a
login of their own, so that each lost one is seen; the others change a few logins, whose flags must match the newest
event.
"""

import math
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, OrphanGuard, wait_until
from sandbox.stack.readiness import answers_ping
from tests.brief_stack import BriefStack
from tests.chaos.failover_load import WAYS_IN, Load, Sent
from tests.chaos.minimal_acl import minimal_acl
from tests.chaos.report import Report, Say
from tests.chaos.sentinel_cluster import Node, SentinelCluster
from worker.ledger.login_fields import read_values, stored_names
from worker.operations.waiting import unrecorded
from worker.services import Services, build_services
from worker.vault.vault import new_key

WAYS = ("kill", "freeze", "partition")
WITHIN_SECONDS, IMPATIENT_SECONDS, REST_SECONDS, CUT_SECONDS = 60.0, 10.0, 120.0, 8.0
RECOVERY_SECONDS = 30.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SETTINGS = {"FLINKS_TIMEOUT_SECONDS": "2", "FLINKS_SETTLE_SECONDS": "3", "FLINKS_CALLS_PER_SECOND": "500"}


def failover(
    folder: Path,
    *,
    seed: int,
    say: Say,
    ways: Sequence[str] = WAYS,
    appendfsync: str = "always",
    replicas: int = 2,
    min_replicas: int = 1,
    wait_for: int = 1,
    lag_ms: int = 20,
    events_per_second: int = 100,
    workers: int = 2,
    promises_no_loss: bool = True,
    waits_for_celery: bool = True,
) -> Report:
    """Fail over once for each of `ways` under load; `promises_no_loss` says that this set-up may lose nothing.

    `replicas`, `min_replicas` and `appendfsync` are settings of Redis. `wait_for` is the number of replicas that
    must confirm an event. Replication is late by `lag_ms`. A Celery message in the hands of a worker returns a
    minute later; without `waits_for_celery` the run does not wait for it and does not count what Celery lost.
    """
    sizes = {
        "seed": seed,
        "ways": "+".join(ways),
        "appendfsync": appendfsync,
        "replicas": replicas,
        "min_replicas": min_replicas,
        "wait_for": wait_for,
        "lag_ms": lag_ms,
        "events_per_second": events_per_second,
        "workers": workers,
    }
    report = Report("failover", sizes)
    redis_settings = {"replicas": replicas, "appendfsync": appendfsync, "min_replicas": min_replicas}
    with (
        OrphanGuard() as guard,
        SentinelCluster(folder / "redis", guard=guard, acl=minimal_acl(), **redis_settings) as cluster,
    ):
        cluster.lag(lag_ms / 1000)
        overrides = SETTINGS | {"REDIS_URL": cluster.url, "LOGIN_KEYS": new_key(), "SANDBOX": "1"}
        with BriefStack(folder / "stack", isolated=True, overrides=overrides, workers=workers) as stack:
            services = build_services(stack.settings())
            load = Load(cluster.url, random.Random(seed), replicas=wait_for, events_per_second=events_per_second)
            trial = Trial(report, cluster, stack, services, load, promises_no_loss, waits_for_celery)
            try:
                trial.run(ways, say)
            finally:
                services.redis.close()
            report.expect(all(worker.is_running for worker in stack.workers), "a worker ended")
    return report


@dataclass(frozen=True)
class Trial:
    """One run: its parts, and whether its set-up promises no loss."""

    report: Report
    cluster: SentinelCluster
    stack: EmbeddedStack
    services: Services
    load: Load
    is_strict: bool
    waits_for_celery: bool

    def run(self, ways: Sequence[str], say: Say) -> None:
        """Fail over under load, then judge the result."""
        emulator = EmulatorControl(str(self.stack.emulator_url))
        emulator.faults({"knob": "latency", "milliseconds": 20, "jitter_ms": 60})
        with self.load as load:
            wait_until(lambda: len(load.acknowledged) > 100, seconds=WITHIN_SECONDS)
            for number, way in enumerate(ways, 1):
                if number > 1:
                    _settle_down(self.cluster, load)
                self._note(f"{number} {way}", self._fail_over(way), say)
        is_at_rest = wait_until(self._is_at_rest, seconds=REST_SECONDS, every_seconds=0.2)
        self.report.expect(is_at_rest, f"not at rest {REST_SECONDS:.0f} s after the last event")
        self._judge(emulator)
        for what in ("lost on the stream", "flags wrong") if self.is_strict else ():
            self.report.expect(self.report.figures[what] == 0, f"{what}: {self.report.figures[what]}")

    def _note(self, name: str, seconds: Mapping[str, float], say: Say) -> None:
        told = ", ".join(f"{what} {'never' if at > WITHIN_SECONDS else f'{at:.1f} s'}" for what, at in seconds.items())
        self.report.figures[name] = f"{told} after the fault"
        say(f"{name}: {told}")
        slowest = max(at for what, at in seconds.items() if what != "remote control")
        is_back = slowest < RECOVERY_SECONDS or not self.is_strict
        self.report.expect(is_back, f"{name}: not every client was back after {RECOVERY_SECONDS:.0f} s")

    def _fail_over(self, way: str) -> dict[str, float]:
        """Break the primary, wait until every client uses another, repair; return the seconds until each was back."""
        cluster, load, old = self.cluster, self.load, self.cluster.primary()
        began, figures = time.monotonic(), dict[str, float]()
        _break(cluster, old, way)

        def since(name: str, condition: Callable[[], object]) -> None:
            patience = WITHIN_SECONDS if self.is_strict or not figures else IMPATIENT_SECONDS
            is_met = wait_until(condition, seconds=patience, every_seconds=0.05)
            figures[name] = time.monotonic() - began if is_met else math.inf

        since("promotion", lambda: cluster.primary() is not old)
        new = cluster.primary()
        if way == "partition":  # let it last: the former primary still answers
            wait_until(lambda: time.monotonic() - began > CUT_SECONDS, seconds=WITHIN_SECONDS)
        before = _applied(cluster, new)
        since("calls", lambda: _applied(cluster, new) > before + 20)
        since("producers", lambda: min(load.last_acknowledged_at.values()) > began + figures["promotion"])
        marks = {way_in: load.last_of(way_in) for way_in in WAYS_IN}
        since("stream", lambda: _has(cluster, new, self.services, marks["stream"]))
        since("Celery", lambda: _has(cluster, new, self.services, marks["celery"]))
        broker, workers = self.stack.environment["REDIS_URL"], self.stack.workers
        since("remote control", lambda: all(answers_ping(broker, worker.name) for worker in workers))
        _mend(cluster, old, way)
        return figures

    def _is_at_rest(self) -> bool:
        with suppress(redis.RedisError):
            unread = unrecorded(self.services.redis)
            status = self.services.views.status()
            about = status["instances"].get("toolbox", {})
            open_work = any(about.get(name) for name in ("due_live", "waiting", "in_flight"))
            taken = self.services.redis.hlen("unacked") if self.waits_for_celery else 0
            return not open_work and not unread and not taken
        return False

    def _judge(self, emulator: EmulatorControl) -> None:
        flags = {login: flag.is_activated for logins in emulator.state().values() for login, flag in logins.items()}
        lost, wrong = Counter[str](), 0
        for sent in self.load.newest():
            is_lost = self._recorded_at(sent) < (sent.occurred_at - EPOCH) // timedelta(microseconds=1)
            lost[sent.way] += is_lost
            wrong += not is_lost and flags.get(sent.login_id) is not sent.is_linked
        sent_by = Counter(sent.way for sent in self.load.acknowledged)
        self.report.figures |= {
            "events acknowledged": f"{sent_by['stream']} on the stream, {sent_by['celery']} through Celery",
            "repeated by producers": self.load.repeated,
            "lost on the stream": lost["stream"],
            "lost through Celery": lost["celery"] if self.waits_for_celery else "not counted",
            "flags wrong": wrong,
            "calls": emulator.stats().load.calls,
            "overlapping calls": emulator.stats().overlaps,
        }
        self.report.expect(min(sent_by["stream"], sent_by["celery"]) > 20, "too few events were sent")
        self.report.expect(not self.load.abandoned, f"{self.load.abandoned} events were never acknowledged")

    def _recorded_at(self, sent: Sent) -> int:
        """Return the time (microseconds) of the newest event of the login in the ledger, 0 for none."""
        key = "nightly:login:" + self.services.vault.reference("toolbox", sent.login_id)
        values = self.services.redis.hmget(key, stored_names(["occurred_us"]))
        return int(read_values(["occurred_us"], values).get("occurred_us", 0))


def _settle_down(cluster: SentinelCluster, load: Load) -> None:
    """Wait until the former primary follows the new one and calls are settled again."""
    wait_until(cluster.is_whole, seconds=WITHIN_SECONDS, every_seconds=0.2)
    sent = len(load.acknowledged)
    wait_until(lambda: len(load.acknowledged) > sent + 20, seconds=WITHIN_SECONDS)


def _has(cluster: SentinelCluster, node: Node, services: Services, sent: Sent) -> bool:
    key = "nightly:login:" + services.vault.reference("toolbox", sent.login_id)
    with suppress(redis.RedisError, OSError):
        return bool(cluster.ask(node).exists(key))
    return False


def _break(cluster: SentinelCluster, node: Node, way: str) -> None:
    if way == "kill":
        cluster.lose_machine(node)
    elif way == "freeze":
        node.process.signal(signal.SIGSTOP)
    else:
        cluster.cut_off(node)


def _mend(cluster: SentinelCluster, node: Node, way: str) -> None:
    if way == "kill":
        cluster.restart(node)
    elif way == "freeze":
        node.process.signal(signal.SIGCONT)
    else:
        cluster.heal()


def _applied(cluster: SentinelCluster, node: Node) -> int:
    with suppress(redis.RedisError, OSError):
        tally = cluster.ask(node).hgetall("nightly:tally:toolbox")
        return int(tally.get(b"applied_on", 0)) + int(tally.get(b"applied_off", 0))
    return 0
