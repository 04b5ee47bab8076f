"""Formats values for a terminal: times in UTC, ages, counts and tables, without control characters; or JSON lines."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.documents import Document

WARN = "bold yellow"
BAD = "bold red"
GOOD = "green"
DIM = "dim"
NAME = "bold"
COMMAND = "cyan"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def console() -> Console:
    """Return the console for stdout; it interprets no text as markup."""
    return Console(markup=False, highlight=False, emoji=False)


def print_json(items: Iterable[Any]) -> None:
    """Print each item, a Document or a dictionary, as one line of JSON."""
    for item in items:
        text = item.model_dump_json() if isinstance(item, Document) else json.dumps(item, default=str)
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def plain(value: object) -> str:
    """Return the value's text with unprintable (also control or bidirectional) characters as ?; a dash if empty."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "?" for char in text) or "-"


def when(at_ms: float | None) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22 10:00:05` (UTC)."""
    return "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def span(seconds: float) -> str:
    """Return a duration as text: `5 s`, `3 min`, `2 h 5 min`, `4 d`."""
    whole = round(abs(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        minutes = whole % _HOUR // _MINUTE
        return f"{whole // _HOUR} h {minutes} min" if minutes else f"{whole // _HOUR} h"
    return f"{whole // _DAY} d"


def ago(at_ms: float | None, now_ms: float) -> str:
    """Return the distance of a moment from now: `3 min ago`, `in 20 s`."""
    if at_ms is None:
        return "-"
    seconds = (now_ms - at_ms) / 1000
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(seconds)}"


def number(count: float) -> str:
    """Return a count with thousands separators."""
    return f"{count:,}"


def pairs(rows: Iterable[tuple[str, object]], *, indent: int = 2) -> Table:
    """Return a borderless table of names and values, one row each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=DIM, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(" " * indent + name, value if isinstance(value, Text) else plain(value))
    return grid


def listing(*columns: str, right: Iterable[str] = (), fold: Iterable[str] = ()) -> Table:
    """Return an empty table with these columns; those in `right` are right-aligned, those in `fold` may wrap."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=f"{NAME} underline")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name not in fold, overflow="fold")
    return table
