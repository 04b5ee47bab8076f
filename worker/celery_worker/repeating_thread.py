"""A thread that repeats one step and survives any exception.

When a step fails, it logs once, retries every second, and logs once when the step succeeds again.
"""

import threading
import time
from collections.abc import Callable

import redis
from kombu.exceptions import OperationalError

from worker.errors import NotReplicated
from worker.redis_client.error_messages import in_log
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected

RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0

log = get_logger(__name__)


class Loop:
    """A thread that repeats one step until it is stopped, whatever the step raises."""

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        *,
        pause_seconds: float = 0,
        unreachable: str = "ledger_unreachable",
    ) -> None:
        self._step = step
        self._unreachable = unreachable
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._trouble = ""
        self.name = name
        self.steps = 0
        """Number of steps begun, whether they succeeded or not."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Make the thread end after its current step."""
        self._stopping.set()

    def stop(self, *, by: float | None = None) -> None:
        """Make the thread end after its current step, and wait for it until `by` (monotonic) at most."""
        self.ask_to_stop()
        seconds = STOP_SECONDS if by is None else by - time.monotonic()
        self._thread.join(timeout=max(seconds, 0))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.steps += 1
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - without this thread the worker would only look alive
                self._report(error)
                self._stopping.wait(RETRY_SECONDS)
            else:
                self._recover()
                self._stopping.wait(self._pause_seconds)

    def _report(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind == self._trouble:
            return
        self._trouble = kind
        if isinstance(error, redis.RedisError):
            log.warning(self._unreachable, doing=self._thread.name, **in_log(error))
        elif isinstance(error, OperationalError):
            log.warning("broker_unreachable", doing=self._thread.name, error=kind)
        elif isinstance(error, NotReplicated):
            log.warning("replicas_missing", doing=self._thread.name, reason=str(error))
        else:
            log.error("loop_failed", loop=self._thread.name, exc_info=error)
            report_unexpected(error, where=self._thread.name)

    def _recover(self) -> None:
        if self._trouble:
            log.info("loop_recovered", loop=self._thread.name, after=self._trouble)
            self._trouble = ""
