"""Parses a backfill's quiet hours, and decides whether a moment is in them. Daylight saving follows their time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.errors import BackfillError

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Every day from `begins` until just before `ends`; past midnight if `ends` is earlier than `begins`."""

    begins: time
    ends: time
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str, timezone: str = "") -> Self | None:
        """Parse hours such as `22:00-06:00` in a time zone such as `America/Toronto` (default UTC).

        Returns None for an empty text; raises BackfillError with the problem.
        """
        if not text:
            return None
        hours = _HOURS.fullmatch(text)
        if hours is None:
            raise BackfillError("quiet hours are written HH:MM-HH:MM, such as 22:00-06:00")
        from_hour, from_minute, to_hour, to_minute = map(int, hours.groups())
        if (from_hour, from_minute) == (to_hour, to_minute):
            raise BackfillError("quiet hours must not begin and end at the same time")
        try:
            zone = ZoneInfo(timezone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BackfillError("the time zone is not known; write one such as America/Toronto") from None
        return cls(time(from_hour, from_minute), time(to_hour, to_minute), zone)

    def include(self, now_ms: int) -> bool:
        """Return whether a moment, in milliseconds since 1970, is in the quiet hours."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(self.zone).time()
        if self.begins < self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends
