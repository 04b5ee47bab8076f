"""Decides whether a backfill is in its quiet hours, in the time zone that was given with them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.errors import BackfillError

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begins` until just before `ends`, every day; over midnight where it ends before it begins."""

    begins: time
    ends: time
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str, timezone: str = "") -> Self | None:
        """Read `22:00-06:00` and a zone such as `America/Toronto` (none: UTC); None for no text.

        Raises BackfillError with what is wrong.
        """
        if not text:
            return None
        found = _HOURS.fullmatch(text)
        if found is None:
            raise BackfillError("quiet hours are written HH:MM-HH:MM, such as 22:00-06:00")
        first, second, third, fourth = map(int, found.groups())
        if (first, second) == (third, fourth):
            raise BackfillError("quiet hours that begin and end at once would be none, or all day")
        try:
            zone = ZoneInfo(timezone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BackfillError("the time zone is not known; write one such as America/Toronto") from None
        return cls(time(first, second), time(third, fourth), zone)

    def include(self, now_ms: int) -> bool:
        """Say whether this moment, in ms since 1970, is one of them."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone).time()
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends
