"""The blocking half of a request: record events in the ledger, and say what the sender should do where that fails.

Whatever it refuses may be sent again as it is: recording is idempotent by event.
"""

import time
from collections.abc import Sequence
from http import HTTPStatus

import redis

from worker.errors import EventsRefused, LedgerMismatch, NotReplicated
from worker.ingress.refusals import Refused, refused_events
from worker.ledger import Recorded
from worker.ledger.doorbell import Doorbell
from worker.redis_trouble import trouble_of
from worker.services import Services
from worker.telemetry.logs import get_logger

AWAY_SECONDS = 5
FULL_SECONDS = 30
REST_SECONDS = 1.0
"""So long after Redis was not reached, nobody asks again: a silent one holds a thread for ten seconds or twenty."""
_AWAY = "the ledger takes no events at the moment; send the request again"

log = get_logger(__name__)


class Recorder:
    """Records for one process."""

    def __init__(self, services: Services, *, url: str) -> None:
        self._services = services
        self._doorbell = Doorbell(services.redis)
        self._url = url
        self._is_ours = False
        self._rests_until = 0.0

    def check_ledger(self) -> None:
        """Check once that the ledger is ours, as a worker does; raises LedgerMismatch and redis.RedisError."""
        if not self._is_ours:
            self._services.begin_ledger()
            self._is_ours = True

    def record(self, documents: Sequence[object]) -> list[Recorded]:
        """Record all, or none; raises Refused."""
        if self._rests():
            raise _unavailable("unavailable", _AWAY, AWAY_SECONDS)
        try:
            self.check_ledger()
            return self._services.intake.accept_whole(documents)
        except EventsRefused as refused:
            raise refused_events(refused, of=len(documents)) from None
        except NotReplicated:
            detail = "too few replicas have the events yet; send the request again"
            raise _unavailable("not_replicated", detail, AWAY_SECONDS) from None
        except LedgerMismatch as error:
            log.error("http_events_deferred", reason=str(error))  # noqa: TRY400 - a traceback tells no more
            raise _unavailable("unavailable", "this server cannot use its ledger", FULL_SECONDS) from None
        except redis.RedisError as error:
            log.warning("http_events_deferred", reason=trouble_of(error, self._url).what)
            is_full = isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM" in str(error)
            if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._rests_until = time.monotonic() + REST_SECONDS
            raise _unavailable("unavailable", _AWAY, FULL_SECONDS if is_full else AWAY_SECONDS) from None

    def wake(self) -> None:
        """Have a reconciler woken for what was recorded; never raises. Call it when the sender has its answer."""
        if self._rests():
            return
        try:
            self._doorbell.ring()
        except redis.RedisError as error:  # the events are safe; the next pulse wakes somebody
            log.info("wake_up_not_sent", error=type(error).__name__)

    def _rests(self) -> bool:
        return time.monotonic() < self._rests_until


def _unavailable(code: str, detail: str, retry_after_seconds: int) -> Refused:
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, retry_after_seconds=retry_after_seconds)
