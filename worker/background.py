"""The two threads in every worker: the pacemaker and the stream reader, as Celery bootsteps.

They start after the pool (so that no child is forked from a process with threads at start) and live as
long as the worker; a lost broker connection does not touch them. Each survives the loss of Redis: it logs
once, tries again every second, and logs once when Redis is back.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from celery import bootsteps
from celery.worker.state import maybe_shutdown

from worker.errors import LedgerMismatch
from worker.notices import pass_on
from worker.services import Services
from worker.stream import StreamReader
from worker.telemetry.logs import get_logger
from worker.telemetry.metrics import MetricsServer, serve_metrics
from worker.telemetry.sentry import report_unexpected

PULSE_SECONDS = 1.0
RETRY_SECONDS = 1.0
STOP_SECONDS = 15.0

log = get_logger(__name__)


class Loop:
    """A thread that repeats one step until it is told to stop, whatever the step raises."""

    def __init__(self, name: str, step: Callable[[], object], *, pause_seconds: float) -> None:
        self._step = step
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._trouble = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the thread end after its present step."""
        self._stopping.set()

    def stop(self) -> None:
        """Ask the thread to end after its present step, and wait for it, within bounds."""
        self.ask_to_stop()
        self._thread.join(timeout=STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - a thread that died would be a worker that only looks alive
                self._tell(error)
                self._stopping.wait(RETRY_SECONDS)
            else:
                self._recover()
                self._stopping.wait(self._pause_seconds)

    def _tell(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind == self._trouble:
            return
        self._trouble = kind
        if isinstance(error, redis.RedisError):
            log.warning("ledger_unreachable", doing=self._thread.name, error=kind)
        else:
            log.error("loop_failed", loop=self._thread.name, exc_info=error)
            report_unexpected(error, where=self._thread.name)

    def _recover(self) -> None:
        if self._trouble:
            log.info("loop_recovered", loop=self._thread.name, after=self._trouble)
            self._trouble = ""


class LedgerCheck(bootsteps.StartStopStep):
    """Refuses to start on a ledger that is not ours; waits as long as Redis does not answer."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        # Two workers may share a node name; their children inherit this with the app.
        parent.app.identity = f"{parent.hostname}#{os.getpid()}"

    def start(self, worker: Any) -> None:
        """Check, before the pool and the consumer start; raises WorkerShutdown when told to stop meanwhile."""
        services: Services = worker.app.services()
        is_told = False
        while True:
            try:
                services.ledger.claim_ledger(services.vault.fingerprint("reference"))
                services.ledger.allow_claims(worker.app.identity)
            except LedgerMismatch as error:
                log.critical("ledger_refused", reason=str(error))
                raise SystemExit(2) from None
            except redis.RedisError as error:
                if not is_told:
                    log.warning("ledger_unreachable", doing="start", error=type(error).__name__)
                is_told = True
                time.sleep(RETRY_SECONDS)
                maybe_shutdown()
            else:
                return


class Background(bootsteps.StartStopStep):
    """Starts and stops the pacemaker and the stream reader."""

    requires = ("celery.worker.components:Pool", LedgerCheck)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._loops: list[Loop] = []
        self._metrics: MetricsServer | None = None

    def start(self, worker: Any) -> None:
        """Start both threads, and the metrics endpoint if one is asked for."""
        services: Services = worker.app.services()
        self._reader = StreamReader(
            services.redis, services.intake, name=worker.app.identity, on_recorded=lambda: worker.app.wake(services)
        )
        self._loops = [
            Loop("pacemaker", lambda: pulse(worker, services), pause_seconds=PULSE_SECONDS),
            Loop("stream", self._reader.step, pause_seconds=0),
        ]
        for loop in self._loops:
            loop.start()
        if services.settings.metrics_port is not None:
            self._metrics = serve_metrics(services.settings.metrics_port, services.views.status)

    def stop(self, worker: Any) -> None:
        """Stop both threads; entries that were read are recorded or stay pending."""
        for loop in self._loops:
            loop.ask_to_stop()
        for loop in self._loops:
            loop.stop()
        if self._metrics is not None:
            self._metrics.close()
        try:
            worker.app.services().ledger.sign_off(worker.app.identity)
        except redis.RedisError:
            log.warning("ledger_unreachable", doing="stop")


def pulse(worker: Any, services: Services) -> None:
    """Give a sign of life, take back what dead workers held, and wake somebody if work is waiting."""
    settings = services.settings
    found = services.ledger.pulse(
        services.fingerprints,
        worker=worker.app.identity,
        slots=worker.concurrency,
        about={"version": worker.app.version},
        rest_after_lease_seconds=settings.flinks_settle_seconds - settings.lease_margin_seconds,
    )
    if found.leases_lost:
        log.warning("leases_lost", count=found.leases_lost)
    pass_on(services.ledger, found.notices)
    if found.should_wake:
        worker.app.send_wake_up()
