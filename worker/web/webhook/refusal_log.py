"""Logs refused requests at a bounded rate, because any client can cause them."""

import asyncio
from collections import Counter
from http import HTTPStatus

from worker.telemetry.logs import get_logger
from worker.web.webhook.problems import Refused

COUNT_SECONDS = 60.0

log = get_logger(__name__)


class RefusalLog:
    """Logs the first refusal of each code in a minute with its reason; at the end, one line counts all further ones."""

    def __init__(self) -> None:
        self._further: Counter[str] = Counter()
        self._is_counting = False

    def add(self, refused: Refused) -> None:
        """Log a refusal, or count it; call it in the event loop."""
        if refused.code in self._further:
            self._further[refused.code] += 1
            return
        self._further[refused.code] = 0
        write = log.warning if refused.status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
        reason = refused.reason or refused.detail
        write("http_events_refused", status=refused.status.value, code=refused.code, reason=reason)
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_later(COUNT_SECONDS, self._write_counts)

    def _write_counts(self) -> None:
        counts = {code: count for code, count in self._further.items() if count}
        self._further.clear()
        self._is_counting = False
        if counts:
            log.info("http_events_refused_more", counts=counts, seconds=COUNT_SECONDS)
