"""Formats what a command prints: values without control characters, tables for a terminal or a pipe, or JSON lines.

Ids are never cut or broken, at any width: a table that does not fit the terminal becomes a stack of names and values.
What is piped is plain text of any width.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from worker.operations.json_form import Document
from worker.words import ago, plain, span, when

__all__ = ["ago", "plain", "span", "when"]

WARN = "bold yellow"
BAD = "bold red"
GOOD = "green"
DIM = "dim"
NAME = "bold"
COMMAND = "cyan"
_WORD = re.compile(r"\s*(?:(?:nightly|celery)(?: [\w.:-]+){1,4}|\S+)\s*")
"""What a line break does not divide: a word, or a command."""
_PIPED_WIDTH = 1_000_000
_GAP = 2
_LEAST_PROSE = 24
"""A column of sentences is not made narrower than this."""


class Screen(Console):
    """A console that wraps lines only at spaces: a word longer than a line is printed whole."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print like rich's console, without breaking or cutting words; with `soft_wrap`, without any line break."""
        if not options.get("soft_wrap"):
            objects = tuple(paragraph(each) if isinstance(each, str | Text) else each for each in objects)
        unbroken: dict[str, Any] = {"overflow": "ignore", "crop": False}
        super().print(*objects, **unbroken | options)


def console() -> Screen:
    """Return the console for stdout; it interprets no text as markup. A pipe has no width and no colour."""
    screen = Screen(markup=False, highlight=False, emoji=False)
    if not screen.is_terminal:
        screen.width = _PIPED_WIDTH
    return screen


def print_json(items: Iterable[Any]) -> None:
    """Print each item, a Document or a dictionary, as one line of JSON."""
    for item in items:
        text = item.model_dump_json() if isinstance(item, Document) else json.dumps(item, default=str)
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def counted(label: str) -> Iterator[Callable[[int], None]]:
    """On a terminal, show the number of rows so far."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - heavy

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} " + label), TimeElapsedColumn())
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("")
        yield lambda count: progress.update(task, completed=count)


def whole(value: object, style: str = "") -> Text:
    """Return an id as text that no line break divides, although an id may contain spaces."""
    return Text(plain(value), style, no_wrap=True)


def number(count: float) -> str:
    """Return a count with thousands separators."""
    return f"{count:,}"


def paragraph(text: str | Text, style: str = "", *, indent: int = 0) -> "Rows":
    """Return text that wraps at spaces, indented."""
    return Rows([(text if isinstance(text, Text) else Text(text, style),)], indent=indent)


def alarm(title: str, reason: str, advice: str) -> RenderableType:
    """Return an alarm as text: its title, the reason and the advice."""
    head = whole(f" {plain(title)} ", "bold white on red")
    return Group(head, paragraph(plain(reason), NAME, indent=2), paragraph(plain(advice), indent=2), "")


def pairs(rows: Iterable[tuple[str | Text, object]], *, indent: int = 2) -> "Rows":
    """Return names and values, one row each; a value wraps at spaces below itself."""
    named = ((Text(name, DIM) if isinstance(name, str) else name, value) for name, value in rows)
    return Rows([(name, value if isinstance(value, Text) else plain(value)) for name, value in named], indent=indent)


def listing(*columns: str, right: Iterable[str] = (), fold: Iterable[str] = ()) -> "Listing":
    """Return an empty table with these columns; those in `right` are right-aligned, those in `fold` may wrap."""
    return Listing(columns, frozenset(right), frozenset(fold))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of cells without a header: the last cell takes the rest of the line and wraps at spaces."""

    rows: Sequence[tuple[str | Text, ...]]
    indent: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        cells = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(_width, column)) for column in zip(*(row[:-1] for row in cells), strict=True)]
        left = options.max_width - self.indent - sum(widths) - _GAP * len(widths)
        for row in cells:
            yield from _lines(row, [*widths, max(left, _LEAST_PROSE)], indent=self.indent)


@dataclass(frozen=True, slots=True)
class Listing:
    """A table; or, where it does not fit the terminal, a stack of names and values for each row."""

    columns: Sequence[str]
    right: frozenset[str]
    fold: frozenset[str]
    rows: list[list[Text]] = field(default_factory=list)

    def add_row(self, *cells: str | Text) -> None:
        """Add a row; only cells of `fold` columns wrap."""
        named = zip(self.columns, map(_text, cells), strict=True)
        self.rows.append([_unwrapped(cell) if name not in self.fold else cell for name, cell in named])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        widths = self._widths(options.max_width)
        if widths is None:
            for row in self.rows:
                yield Rows([(Text(name, DIM), cell) for name, cell in zip(self.columns, row, strict=True)])
                yield ""
            return
        head = [Text(name, f"{NAME} underline") for name in self.columns]
        for row in (head, *self.rows):
            yield from _lines(row, widths, right=[name in self.right for name in self.columns])

    def _widths(self, available: int) -> list[int] | None:
        """Return the width of each column; None if they do not fit."""
        columns = [[Text(name), *cells] for name, cells in zip(self.columns, zip(*self.rows, strict=True), strict=True)]
        needed = [max(map(_width, column)) for column in columns]
        least = [
            max(min(wide, _LEAST_PROSE), *map(_longest_word, column)) if name in self.fold else wide
            for name, wide, column in zip(self.columns, needed, columns, strict=True)
        ]
        spare = available - sum(least) - _GAP * (len(least) - 1)
        if spare < 0:
            return None
        for place, wide in enumerate(needed):
            more = min(spare, wide - least[place])
            least[place] += more
            spare -= more
        return least


def _text(value: str | Text) -> Text:
    return value if isinstance(value, Text) else Text(value)


def _unwrapped(cell: Text) -> Text:
    cell.no_wrap = True
    return cell


def _width(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _longest_word(cell: Text) -> int:
    return _width(cell) if cell.no_wrap else max((Text(word).cell_len for word in cell.plain.split()), default=0)


def _lines(
    row: Sequence[Text], widths: Sequence[int], *, indent: int = 0, right: Sequence[bool] = ()
) -> Iterator[Text]:
    """Yield the lines of one row, without spaces at their ends."""
    columns = [list(_wrapped(cell, width)) for cell, width in zip(row, widths, strict=True)]
    for parts in zip_longest(*columns, fillvalue=Text()):
        line = Text(" " * indent, no_wrap=True, overflow="ignore")
        for place, (part, width) in enumerate(zip(parts, widths, strict=True)):
            part.rstrip()
            pad = " " * (width - part.cell_len) if place < len(widths) - 1 or right else ""
            line.append_text(Text.assemble(pad, part) if right and right[place] else Text.assemble(part, pad))
            line.append(" " * _GAP)
        line.rstrip()
        yield line


def _wrapped(cell: Text, width: int) -> Iterator[Text]:
    for line in cell.split("\n", allow_blank=True):
        breaks, used = list[int](), 0
        for word in () if cell.no_wrap else _WORD.finditer(line.plain):
            if used and used + cell_len(word[0].rstrip()) > width:
                breaks.append(word.start())
                used = 0
            used += cell_len(word[0])
        yield from line.divide(breaks)
