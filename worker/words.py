"""Puts times, durations and values that others filled into plain words. Does no I/O."""

from datetime import UTC, datetime


def printable(text: str, *, but: str = "") -> str:
    """Return a text with unprintable (also control or bidirectional) characters as ?, except those in `but`."""
    return text if text.isprintable() else "".join(char if char.isprintable() or char in but else "?" for char in text)


def plain(value: object) -> str:
    """Return the value's text without unprintable characters; a dash if it is empty."""
    return printable("" if value is None else str(value)) or "-"


def when(at_ms: float | None) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22 10:00:05` (UTC); one beyond year 9999 as a number."""
    try:
        return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return str(at_ms)


def utc(at_ms: float | None) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22 10:00:05 UTC`."""
    return f"{when(at_ms)} UTC"


def iso(at_ms: float) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22T10:00:05.123Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{int(at_ms % 1000):03}Z"


def span(seconds: float) -> str:
    """Return a duration as text, to the nearest unit: `5 s`, `3 min`, `2 h 5 min`, `1 d 3 h`, `4 d`."""
    seconds = abs(seconds)
    minutes, hours = _nearest(seconds / 60), _nearest(seconds / 3600)
    if _nearest(seconds) < 60:  # noqa: PLR2004 - units of time
        return f"{_nearest(seconds)} s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    if hours < 2 * 24:
        return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"
    return f"{_nearest(seconds / 86_400)} d"


def _nearest(number: float) -> int:
    return int(number + 0.5)


def ago(at_ms: float | None, now_ms: float) -> str:
    """Return the distance of a moment from now: `3 min ago`, `in 20 s`, `just now`."""
    if at_ms is None:
        return "-"
    seconds = (now_ms - at_ms) / 1000
    if not _nearest(abs(seconds)):
        return "just now"
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(seconds)}"
