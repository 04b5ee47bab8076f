"""Celery bootsteps that start a worker's threads: pacemaker, readers, hints, watchdog and others.

The threads start after the pool, so that its first children are not forked from a process with threads. They live as
long as the worker and do not depend on Celery's broker connection.
"""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import redis
from celery import bootsteps
from celery.concurrency import solo
from celery.worker import state
from celery.worker.state import maybe_shutdown

from worker.broker.celery_config import redis_broker
from worker.broker.probe import probe_of
from worker.broker.rabbitmq import rabbit_of
from worker.celery_worker.gc_tuning import spare_what_stays
from worker.celery_worker.mailboxes import Mailbox
from worker.celery_worker.repeating_thread import RETRY_SECONDS, STOP_SECONDS, Loop
from worker.celery_worker.watchdog import LOOK_SECONDS, Part, Watchdog, celery_parts
from worker.errors import LedgerMismatch
from worker.events.channels import BACKFILL_QUEUE, EVENTS_QUEUE, REFRESH_QUEUE
from worker.intake.celery_queue import QueueReader
from worker.intake.rabbitmq import RabbitReader
from worker.intake.redis_stream import EntryReader, StreamReader
from worker.operations.alerts import report_notices
from worker.operations.waiting import read_state
from worker.reconciler.dispatcher import SLICE_SECONDS
from worker.redis_client.connect import connect
from worker.redis_client.error_messages import in_log
from worker.services import Services, warn_of_plain_text
from worker.telemetry.logs import get_logger
from worker.telemetry.metrics_server import MetricsServer, serve_metrics

PULSE_SECONDS = 1.0
TASK_MARGIN_SECONDS = 15.0
EXIT_REFUSED = 2
"""Newer code, other LOGIN_KEYS, or a sandbox ledger in production: a restart does not help."""

log = get_logger(__name__)


class LedgerCheck(bootsteps.StartStopStep):
    """Refuses to start on a foreign ledger; waits while Redis is unreachable."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        # Children inherit both with the app. The random part: in containers, two workers may share node name and pid.
        parent.app.worker_name = f"{parent.hostname}#{os.getpid()}"
        parent.app.identity = f"{parent.app.worker_name}-{secrets.token_hex(4)}"
        if issubclass(parent.pool_cls, solo.TaskPool):  # runs one task at a time, in the main thread
            parent.concurrency = 1
        parent.app.has_spare_slot = parent.concurrency > 1

    def start(self, worker: Any) -> None:
        """Check the ledger before the pool and the consumer start; raises WorkerShutdown if stopped meanwhile."""
        services: Services = worker.app.services()
        warn_of_plain_text(services.settings)
        try:
            until_redis_answers(services.open_ledger)
        except LedgerMismatch as error:
            log.critical("ledger_refused", reason=str(error))
            raise SystemExit(EXIT_REFUSED) from None


def until_redis_answers(step: Callable[[], object]) -> None:
    """Run a step of the start, repeating it while Redis is unreachable; raises WorkerShutdown if stopped meanwhile."""
    has_warned = False
    while True:
        try:
            step()
        except redis.RedisError as error:
            if not has_warned:
                log.warning("ledger_unreachable", doing="start", **in_log(error))
            has_warned = True
            time.sleep(RETRY_SECONDS)
            maybe_shutdown()
        else:
            return


class Background(bootsteps.StartStopStep):
    """Starts and stops the threads."""

    requires = ("celery.worker.components:Pool", LedgerCheck)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._loops: list[Loop] = []
        self._readers: list[EntryReader | RabbitReader] = []
        self._metrics: MetricsServer | None = None
        self._mailbox: Mailbox | None = None

    def start(self, worker: Any) -> None:
        """Start the threads, and the metrics endpoint if it is configured.

        The first pulse runs before any reader, because readers seal events with our newest key and the pulse registers
        this worker as one that has it. Raises WorkerShutdown if stopped while Redis is unreachable.
        """
        app, services = worker.app, worker.app.services()
        until_redis_answers(lambda: pulse(worker, services))
        self._readers = readers = readers_of(app)
        app.reads = tuple(reader.reads for reader in readers)
        app.task_events.start(worker)
        if broker := probe_of(app.settings):
            app.hints.queued = broker.queued
        self._loops = [
            Loop("pacemaker", lambda: pulse(worker, services), pause_seconds=PULSE_SECONDS),
            *(Loop(reader.source, reader.step, pause_seconds=0, unreachable=reader.unreachable) for reader in readers),
            Loop("heartbeat", self._beat, pause_seconds=PULSE_SECONDS),
            Loop("hints", app.hints.step),
            Loop("task-events", app.task_events.step, pause_seconds=PULSE_SECONDS, unreachable="redis_unreachable"),
        ]
        if url := redis_broker(services.settings):
            self._mailbox = Mailbox(connect(url, name="nightly-mailbox"), app, worker.hostname)
            step = self._mailbox.step
            self._loops.append(Loop("mailbox", step, pause_seconds=PULSE_SECONDS, unreachable="redis_unreachable"))
        self._loops.append(Loop("watchdog", watchdog_of(worker, self._loops).step, pause_seconds=LOOK_SECONDS))
        spare_what_stays()
        for loop in self._loops:
            loop.start()
        settings = services.settings
        if settings.metrics_port is not None:
            read = partial(read_state, services.redis, settings)
            self._metrics = serve_metrics(settings.metrics_host, settings.metrics_port, read)
        log.info(
            "worker_started", worker=app.identity, version=app.version, children=worker.concurrency, reads=app.reads
        )

    def close(self, worker: Any) -> None:
        """Begin the shutdown, also after a `WorkerShutdown` raised in the worker, which sends no signal."""
        worker.app.begin_shutdown()

    def stop(self, worker: Any) -> None:
        """Stop the threads. Entries that were read are recorded or stay pending."""
        stops_by = time.monotonic() + STOP_SECONDS
        for loop in self._loops:
            loop.ask_to_stop()
        worker.app.hints.close()
        for loop in self._loops:
            loop.stop(by=stops_by)
        if self._metrics is not None:
            self._metrics.close()
        try:
            for reader in self._readers:
                reader.leave()
            worker.app.services().ledger.remove_worker(worker.app.identity)
            if self._mailbox is not None:
                self._mailbox.forget()
        except redis.RedisError as error:
            log.warning("ledger_unreachable", doing="stop", **in_log(error))
        log.info("worker_stopped", worker=worker.app.identity)

    def _beat(self) -> None:
        """Send the heartbeats of the readers, even while their steps take long."""
        for reader in self._readers:
            if isinstance(reader, EntryReader):
                reader.beat()


def readers_of(app: Any) -> list[EntryReader | RabbitReader]:
    """Build a worker's readers: one for the stream, and one that replaces Celery on the event queue if consumed."""
    services: Services = app.services()

    def wake() -> None:
        if app.needs_reconcilers(services):
            app.hints.ask(app.send_reconcile, REFRESH_QUEUE)

    parts, options = (services.intake, app.deliveries()), {"name": app.identity, "on_recorded": wake}
    readers: list[EntryReader | RabbitReader] = [StreamReader(services.redis, *parts, **options)]
    broker, queues = redis_broker(services.settings), app.amqp.queues
    if EVENTS_QUEUE not in queues.consume_from:
        return readers
    queues.deselect([EVENTS_QUEUE])
    if rabbit := rabbit_of(services.settings):
        readers.append(RabbitReader(rabbit, *parts, on_recorded=wake))
    else:
        readers.append(QueueReader(connect(broker, name="nightly-queue"), *parts, **options))
    return readers


def watchdog_of(worker: Any, loops: Sequence[Loop]) -> Watchdog:
    """Build the watchdog over a worker's loops and Celery's own parts."""
    app, settings = worker.app, worker.app.settings
    parts = [Part(loop.name, lambda loop=loop: loop.steps) for loop in loops]  # type: ignore[misc] # bound at once
    if worker.hub is not None and (broker := probe_of(settings)) is not None:
        worker.hub.call_repeatedly(PULSE_SECONDS, app.progress.made, "celery")
        parts += celery_parts(worker, broker)
    if worker.hub is not None:  # otherwise its loop would notice the signal only at the next event, up to 1 s later
        app.shutdown.wake_main = lambda: worker.hub.call_soon(app.progress.made, "celery")
    app.shutdown.pids_of_children = lambda: [process.pid for process in _children_of(worker)]
    return Watchdog(
        parts,
        app.progress,
        app.shutdown,
        task_seconds=SLICE_SECONDS + 2 * settings.lease_seconds + TASK_MARGIN_SECONDS,
        health_file=settings.health_file,
    )


def _children_of(worker: Any) -> list[Any]:
    """Return the pool's processes; a pool of another kind than Celery's default has none."""
    return list(getattr(worker.pool._pool, "_pool", ()))  # noqa: SLF001 - Celery shows them nowhere


def pulse(worker: Any, services: Services) -> None:
    """Report this worker alive, take back dead workers' leases, and send a message if work is due.

    Claims the ledger first: an emptied Redis has lost the marks that keep foreign workers away.
    """
    try:
        services.open_ledger()
        found = services.ledger.pulse(
            services.fingerprints,
            worker=worker.app.identity,
            slots=worker.concurrency,
            about={
                "version": worker.app.version,
                "keys": services.vault.key_ids,
                "processes": [os.getpid(), *worker.app.shutdown.pids_of_children()],
                "instances": sorted({*services.instances, services.settings.flinks_instance}),
                "broker": "rabbitmq" if rabbit_of(services.settings) else "redis",
            },
        )
    except LedgerMismatch as error:
        log.critical("ledger_refused", reason=str(error))
        state.should_stop = EXIT_REFUSED  # type: ignore[assignment] # Celery takes an exit code, too
        worker.app.begin_shutdown()
        return
    worker.app.progress.made("ledger")
    if found.leases_lost:
        log.warning("leases_lost", count=found.leases_lost)
    if found.should_wake:
        worker.app.hints.ask(worker.app.send_reconcile, REFRESH_QUEUE)
    if found.should_feed:
        worker.app.hints.ask(worker.app.send_feed, BACKFILL_QUEUE)
    report_notices(services.ledger, found.notices)
