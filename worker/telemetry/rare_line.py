"""Rate-limits one log event: logs a few lines a minute, then a count of the rest when the minute is over."""

import asyncio

from worker.telemetry.logs import get_logger

MINUTE_SECONDS = 60.0
_log = get_logger(__name__)


class RareLine:
    """One log event that outsiders can cause at any rate. Belongs to one event loop."""

    def __init__(self, event: str, *, lines: int = 1) -> None:
        self._event, self._lines = event, lines
        self._logged = self._suppressed = 0
        self._minute: asyncio.TimerHandle | None = None

    def say(self, **fields: object) -> None:
        """Log a warning, or only count it if this minute's lines are used up."""
        if self._minute is None:
            self._minute = asyncio.get_running_loop().call_later(MINUTE_SECONDS, self._end_minute)
        if self._logged < self._lines:
            self._logged += 1
            _log.warning(self._event, **fields)
        else:
            self._suppressed += 1

    def _end_minute(self) -> None:
        """Log the number of suppressed lines; this line counts as the first of the next minute."""
        self._minute, suppressed = None, self._suppressed
        self._logged = self._suppressed = 0
        if suppressed:
            self._minute = asyncio.get_running_loop().call_later(MINUTE_SECONDS, self._end_minute)
            self._logged = 1
            _log.warning(self._event, more_in_the_last_minute=suppressed)
