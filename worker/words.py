"""Puts times, durations and values that others filled into plain words. Does no I/O."""

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def plain(value: object) -> str:
    """Return the value's text with unprintable (also control or bidirectional) characters as ?; a dash if empty."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "?" for char in text) or "-"


def when(at_ms: float | None) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22 10:00:05` (UTC)."""
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """Return a duration as text: `5 s`, `3 min`, `2 h 5 min`, `4 d`."""
    rounded = round(abs(seconds))
    if rounded < _MINUTE:
        return f"{rounded} s"
    if rounded < _HOUR:
        return f"{rounded // _MINUTE} min"
    if rounded < _DAY:
        minutes = rounded % _HOUR // _MINUTE
        return f"{rounded // _HOUR} h {minutes} min" if minutes else f"{rounded // _HOUR} h"
    return f"{rounded // _DAY} d"


def ago(at_ms: float | None, now_ms: float) -> str:
    """Return the distance of a moment from now: `3 min ago`, `in 20 s`."""
    if at_ms is None:
        return "-"
    seconds = (now_ms - at_ms) / 1000
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(seconds)}"
