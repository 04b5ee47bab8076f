"""`nightly backfill show --follow`: prints progress until the end, as a bar on a terminal, as lines, or as JSON."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from worker.backfill.models import Backfill, RowOutcome, Status
from worker.cli.backfill.screen import document
from worker.cli.output import WARN, console, number, paragraph, plain, print_json, span, whole
from worker.operations.backfill_progress import ended, outcomes, rejected, standstill
from worker.services import Services

LOOK_SECONDS = 1.0
LINE_SECONDS = 10.0
"""Interval between lines if the output is not a terminal."""
WINDOW_SECONDS = 30.0
"""The rate is measured over this time."""
FOUND_WRONG = 1


@dataclass(frozen=True, slots=True)
class Look:
    """A snapshot of a backfill: its rate in rows ended a second (None: not known yet), and what it waits for."""

    backfill: Backfill
    rate: float | None
    reason: str

    @property
    def left_seconds(self) -> float | None:
        """How long the waiting rows take at this rate."""
        return self.backfill.counts[RowOutcome.WAITING] / self.rate if self.rate else None

    @property
    def has_ended(self) -> bool:
        """Whether every row that was handed over has ended, and no more will be."""
        return self.backfill.ended_at is not None or self.backfill.status is Status.FINISHED


def follow(services: Services, backfill_id: str, *, as_json: bool) -> None:
    """Print progress until every row has ended; exit code 1 if any row was invalid or became a dead letter.

    Ctrl-C stops only the display.
    """
    screen = console()
    is_live = screen.is_terminal and not as_json
    printed_at = -LINE_SECONDS
    try:
        with Live(console=screen, auto_refresh=False) if is_live else nullcontext() as live:
            for look in looks(services, backfill_id):
                if live:
                    live.update(bar(look), refresh=True)
                elif as_json:
                    print_json([document(look.backfill, reason=look.reason, rate=look.rate)])
                elif look.has_ended or time.monotonic() - printed_at >= LINE_SECONDS:
                    printed_at = time.monotonic()
                    screen.print(line(look), soft_wrap=True)
    except KeyboardInterrupt:
        if not as_json:
            screen.print(
                f"\nThe backfill continues. Show it again: nightly backfill show {backfill_id} --follow", soft_wrap=True
            )
        return
    if rejected(look.backfill):
        raise typer.Exit(FOUND_WRONG)


def looks(services: Services, backfill_id: str) -> Iterator[Look]:
    """Yield a snapshot every second, the last one when the backfill has ended."""
    samples: deque[tuple[float, int]] = deque()
    while True:
        backfill = services.backfills.get(backfill_id)
        now = time.monotonic()
        samples.append((now, ended(backfill)))
        while now - samples[0][0] > WINDOW_SECONDS:
            samples.popleft()
        seconds, rows = now - samples[0][0], samples[-1][1] - samples[0][1]
        look = Look(backfill, rows / seconds if seconds else None, reason_of(services, backfill))
        yield look
        if look.has_ended:
            return
        time.sleep(LOOK_SECONDS)


def reason_of(services: Services, backfill: Backfill) -> str:
    """Return what a backfill waits for; empty if it makes progress."""
    status, gate = services.views.status(), services.views.gate(backfill.instance)
    return standstill(backfill, status, gate, services.views.now_ms())


def bar(look: Look) -> RenderableType:
    """Return a snapshot as a progress bar with the counts below."""
    backfill, head = look.backfill, Table.grid(padding=(0, 1))
    share = ended(backfill) / backfill.rows if backfill.rows else 1.0
    head.add_row(whole(backfill.id), ProgressBar(total=1.0, completed=share, width=40), f"{share:.0%}", _pace(look))
    reason = [paragraph(plain(look.reason), WARN)] if look.reason else []
    return Group(head, paragraph(outcomes(backfill.counts)), *reason)


def line(look: Look) -> str:
    """Return a snapshot as one line."""
    backfill = look.backfill
    text = f"{backfill.id} {backfill.status.value}: {number(ended(backfill))} of {number(backfill.rows)} rows ended"
    text += f" ({outcomes(backfill.counts)})" if backfill.rows else ""
    pace = _pace(look)
    return text + (f", {pace}" if pace else "") + (f". {plain(look.reason)}" if look.reason else "")


def _pace(look: Look) -> str:
    if look.has_ended or look.rate is None:
        return ""
    left = f", {span(look.left_seconds)} left" if look.left_seconds is not None else ""
    return f"{look.rate:,.1f} rows/s{left}"
