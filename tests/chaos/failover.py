"""The primary dies, freezes or is cut off under load: what is lost, what ends wrong, how soon everybody is back.

Producers repeat an event until Redis has acknowledged it (with WAIT, if asked for, a replica too). Most events
have a login of their own, so that each one lost is seen; the others churn a few logins, whose flags must end
as the newest event says.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from emulator.remote import EmulatorControl
from tests.chaos.failover_load import WAYS_IN, Load, Sent
from tests.chaos.minimal_acl import minimal_acl
from tests.chaos.report import Report, Say
from tests.chaos.sentinel_cluster import Node, SentinelCluster
from worker.embedded import EmbeddedStack, OrphanGuard, wait_until
from worker.embedded.readiness import answers_ping
from worker.seal import new_key
from worker.services import Services, build_services

WAYS = ("kill", "freeze", "partition")
WITHIN_SECONDS, REST_SECONDS, CUT_SECONDS = 60.0, 120.0, 8.0
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
    promises_no_loss: bool = True,
) -> Report:
    """Fail over once for each of `ways`, under load; `promises_no_loss` says that this set-up may lose nothing."""
    sizes = {
        "seed": seed,
        "ways": "+".join(ways),
        "appendfsync": appendfsync,
        "replicas": replicas,
        "min_replicas": min_replicas,
        "wait_for": wait_for,
        "lag_ms": lag_ms,
        "events_per_second": events_per_second,
    }
    report = Report("failover", sizes)
    with (
        OrphanGuard() as guard,
        SentinelCluster(
            folder / "redis",
            guard=guard,
            replicas=replicas,
            appendfsync=appendfsync,
            min_replicas=min_replicas,
            acl=minimal_acl(),
        ) as cluster,
    ):
        cluster.lag(lag_ms / 1000)
        overrides = SETTINGS | {"REDIS_URL": cluster.url, "LOGIN_KEYS": new_key()}
        with EmbeddedStack(folder / "stack", isolated=True, overrides=overrides, workers=2) as stack:
            services = build_services(stack.settings())
            try:
                _run(report, cluster, stack, services, ways, wait_for, events_per_second, seed, say)
            finally:
                services.redis.close()
            report.expect(all(worker.is_running for worker in stack.workers), "a worker ended")
    if promises_no_loss:
        for what in ("lost on the stream", "flags wrong"):
            report.expect(report.figures.get(what) == 0, f"{what}: {report.figures.get(what)}")
    return report


def _run(
    report: Report,
    cluster: SentinelCluster,
    stack: EmbeddedStack,
    services: Services,
    ways: Sequence[str],
    wait_for: int,
    events_per_second: int,
    seed: int,
    say: Say,
) -> None:
    emulator = EmulatorControl(str(stack.emulator_url))
    emulator.faults({"knob": "latency", "milliseconds": 20, "jitter_ms": 60})
    load = Load(cluster.url, random.Random(seed), replicas=wait_for, events_per_second=events_per_second)
    with load:
        wait_until(lambda: len(load.acknowledged) > events_per_second, seconds=WITHIN_SECONDS)
        for number, way in enumerate(ways, 1):
            if number > 1:
                _settle_down(cluster, load)
            figures = _fail_over(cluster, stack, services, load, way)
            report.figures[f"{number} {way}"] = ", ".join(f"{name} {value:.1f} s" for name, value in figures.items())
            say(f"{number} {way}: {report.figures[f'{number} {way}']}")
            slowest = max(seconds for name, seconds in figures.items() if name != "remote control")
            report.expect(slowest < RECOVERY_SECONDS, f"{number} {way}: back after {slowest:.0f} s only")
        load.finish()
    say("load ended")
    is_at_rest = wait_until(lambda: _is_at_rest(services), seconds=REST_SECONDS, every_seconds=0.2)
    report.expect(is_at_rest, f"not at rest {REST_SECONDS:.0f} s after the last event")
    _judge(report, load, services, emulator)


def _fail_over(
    cluster: SentinelCluster, stack: EmbeddedStack, services: Services, load: Load, way: str
) -> dict[str, float]:
    """Break the primary, wait until everybody works with the other, mend; return seconds until each was back."""
    old = cluster.primary()
    began = time.monotonic()
    _break(cluster, old, way)
    figures: dict[str, float] = {}

    def since(name: str, condition: Callable[[], object]) -> None:
        wait_until(condition, seconds=WITHIN_SECONDS, every_seconds=0.05)
        figures[name] = time.monotonic() - began

    since("promotion", lambda: cluster.primary() is not old)
    new = cluster.primary()
    if way == "partition":
        wait_until(lambda: time.monotonic() - began > CUT_SECONDS, seconds=WITHIN_SECONDS)
    before = _applied(cluster, new)
    since("calls go on", lambda: _applied(cluster, new) > before + 20)
    broker = stack.environment["REDIS_URL"]
    since("producers go on", lambda: min(load.last_acknowledged_at.values()) > began + figures["promotion"])
    marks = {way: load.last_of(way) for way in WAYS_IN}
    since("stream goes on", lambda: _has(cluster, new, services, marks["stream"]))
    since("Celery goes on", lambda: _has(cluster, new, services, marks["celery"]))
    since("remote control", lambda: all(answers_ping(broker, worker.name) for worker in stack.workers))
    _mend(cluster, old, way)
    return figures


def _settle_down(cluster: SentinelCluster, load: Load) -> None:
    """Wait until the former primary follows the new one, and work goes on."""
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


def _is_at_rest(services: Services) -> bool:
    with suppress(redis.RedisError):
        status = services.views.status()
        about = status["instances"].get("toolbox", {})
        open_work = (about.get(name) for name in ("due_live", "waiting", "in_flight"))
        queued = services.redis.llen("account-events") + services.redis.hlen("unacked")
        return not any(open_work) and not status["stream_length"] and not queued
    return False


def _judge(report: Report, load: Load, services: Services, emulator: EmulatorControl) -> None:
    flags = {login: flag.is_activated for logins in emulator.state().values() for login, flag in logins.items()}
    lost, wrong = Counter[str](), 0
    for sent in load.newest():
        kept = services.redis.hget("nightly:login:" + services.vault.reference("toolbox", sent.login_id), "t")
        is_lost = int(kept or 0) < (sent.occurred_at - EPOCH) // timedelta(microseconds=1)
        lost[sent.way] += is_lost
        wrong += not is_lost and flags.get(sent.login_id) is not sent.is_linked
    sent_by = Counter(sent.way for sent in load.acknowledged)
    report.figures |= {
        "events acknowledged": f"{sent_by['stream']} on the stream, {sent_by['celery']} through Celery",
        "repeated by producers": load.repeated,
        "lost on the stream": lost["stream"],
        "lost through Celery": lost["celery"],
        "flags wrong": wrong,
        "calls": emulator.stats().load.calls,
        "overlapping calls": emulator.stats().overlaps,
    }
    report.expect(min(sent_by["stream"], sent_by["celery"]) > 100, "hardly any event was sent")
    report.expect(not load.abandoned, f"{load.abandoned} events were never acknowledged")
