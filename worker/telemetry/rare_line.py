"""Limits how often one log line appears: a few in a minute, then a count of the rest when the minute is over."""

import asyncio

from worker.telemetry.logs import get_logger

MINUTE_SECONDS = 60.0
_log = get_logger(__name__)


class RareLine:
    """One log event, for something that strangers can cause as often as they like. Belongs to one event loop."""

    def __init__(self, event: str, *, lines: int = 1) -> None:
        self._event, self._lines = event, lines
        self._said = self._unsaid = 0
        self._minute: asyncio.TimerHandle | None = None

    def say(self, **fields: object) -> None:
        """Log it as a warning, or only count it where this minute has had its lines."""
        if self._minute is None:
            self._minute = asyncio.get_running_loop().call_later(MINUTE_SECONDS, self._end_minute)
        if self._said < self._lines:
            self._said += 1
            _log.warning(self._event, **fields)
        else:
            self._unsaid += 1

    def _end_minute(self) -> None:
        """Log the number of those that were only counted; that line is the first of the next minute."""
        self._minute, unsaid = None, self._unsaid
        self._said = self._unsaid = 0
        if unsaid:
            self._minute = asyncio.get_running_loop().call_later(MINUTE_SECONDS, self._end_minute)
            self._said = 1
            _log.warning(self._event, more_in_the_last_minute=unsaid)
