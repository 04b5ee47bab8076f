"""Shows the progress of the demo: bars and counts on a terminal, otherwise a plain line every two seconds."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from worker.cli.output import number

LINE_EVERY_SECONDS = 2.0
ENDS = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")
"""The ledger's counters of ended events; rejected ones are counted separately."""
_TROUBLE = ("retried", "throttled", "ambiguous")


@dataclass(frozen=True)
class Look:
    """The state at one moment."""

    published: int = 0
    rejected: int = 0
    tally: Mapping[str, int] = field(default_factory=dict)
    still_open: Mapping[str, int] = field(default_factory=dict)
    """Non-zero counts of unfinished work, by name."""

    @property
    def recorded(self) -> int:
        """Recorded and rejected events."""
        return self.tally.get("recorded", 0) + self.rejected

    @property
    def ended(self) -> int:
        """Events that have ended, rejected ones included."""
        return sum(self.tally.get(name, 0) for name in ENDS) + self.rejected

    @property
    def counts(self) -> str:
        """Every outcome so far, in one line."""
        found = {"calls": self.tally.get("calls", 0)}
        found |= {name.replace("_", " "): self.tally.get(name, 0) for name in (*ENDS, *_TROUBLE)}
        found["rejected"] = self.rejected
        return ", ".join(f"{name} {number(count)}" for name, count in found.items() if count)


class Screen:
    """The demo's progress display, a context manager; `show` may be called at any rate."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._counts = Text()
        self._next_line_at = 0.0
        bar = (TextColumn("  {task.description:<10}"), BarColumn(bar_width=40), MofNCompleteColumn())
        self._bars = Progress(*bar, console=console)
        self._tasks = {name: self._bars.add_task(name, total=total) for name in ("published", "recorded", "settled")}
        self._total = total
        is_live = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=8) if is_live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, look: Look) -> None:
        """Show this state."""
        done = {"published": look.published, "recorded": look.recorded, "settled": look.ended}
        if self._live:
            for name, count in done.items():
                self._bars.update(self._tasks[name], completed=count)
            self._counts = Text(look.counts)
        elif time.monotonic() >= self._next_line_at:
            self._next_line_at = time.monotonic() + LINE_EVERY_SECONDS
            state = ", ".join(f"{name} {number(count)}" for name, count in done.items())
            self._console.print(f"  {state} of {number(self._total)}; {look.counts or 'no call yet'}", soft_wrap=True)

    def _picture(self) -> Group:
        return Group(self._bars, Text("  ") + self._counts)
