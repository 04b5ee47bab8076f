"""`nightly backfill list | show | pause | resume | cancel | report`; `start` is in start.py."""

import sys
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from worker.backfill.models import Backfill, RowOutcome
from worker.backfill.report import (
    PRIVATE,
    REJECTED,
    counted,
    documents,
    ended_rows,
    with_rejects,
    write_report,
    written_whole,
)
from worker.backfill.store import Backfills
from worker.cli.backfill.follow import follow, reason_of
from worker.cli.backfill.screen import document, picture, print_rejects, table
from worker.cli.backfill.start import start
from worker.cli.context import open_services, operator
from worker.cli.exit_codes import rest_is_printed
from worker.cli.known import complete_backfill, known_backfill
from worker.cli.output import console, number, plain, print_json
from worker.ledger.audit import AuditLog, Deed
from worker.operations.backfill_progress import needs_a_person, outcomes

app = typer.Typer(
    help="Switch many logins on or off: those in a file, or in the ledger.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The id that `list` shows: bf-...", autocompletion=complete_backfill)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

app.command(
    epilog="Examples: `nightly backfill start logins.csv --off --dry-run`, "
    "`zcat big.gz | nightly backfill start - --on --rate 20 --quiet-hours 09:00-17:00 --timezone America/Toronto`, "
    '`nightly backfill start --from-ledger --where "applied<2026-11-01" --where wish=on`'
)(start)


@app.command("list", epilog="Example: `nightly backfill list --json`")
def list_(*, as_json: AsJson = False) -> None:
    """List backfills, oldest first; they are kept for 30 days after their end."""
    services = open_services()
    with rest_is_printed() as on_unreadable:
        backfills = services.backfills.all(on_unreadable=on_unreadable)
        if as_json:
            print_json(document(backfill) for backfill in backfills)
        else:
            console().print(
                table(backfills) if backfills else "There is no backfill; see `nightly backfill start --help`."
            )


@app.command(epilog="Example: `nightly backfill show bf-k5mxq2abcd --follow`")
def show(
    backfill_id: Id,
    *,
    follows: Annotated[bool, typer.Option("--follow", help="Show progress until it ends or Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one backfill: its options, its progress, and what it waits for.

    Exit code 1 if a person must act (closed gate, no worker); with --follow, if rows were rejected. Ctrl-C stops only
    the display.
    """
    services = open_services()
    known_backfill(services.redis, backfill_id)
    if follows:
        follow(services, backfill_id, as_json=as_json)
        return
    backfill = services.backfills.get(backfill_id)
    reason = reason_of(services, backfill)
    if as_json:
        print_json([document(backfill, reason=reason)])
    else:
        console().print(picture(backfill, reason, services.views.now_ms()))
    if needs_a_person(backfill, services.views.status(), services.views.gate(backfill.instance)):
        raise typer.Exit(1)


@app.command(epilog="Example: `nightly backfill pause bf-k5mxq2abcd`")
def pause(backfill_id: Id, *, as_json: AsJson = False) -> None:
    """Hand over no more rows for now. Rows already in the lane, about two seconds of calls, are still called."""
    _change(
        backfill_id,
        Backfills.pause,
        "is paused. Continue: nightly backfill resume",
        as_json=as_json,
    )


@app.command(epilog="Example: `nightly backfill resume bf-k5mxq2abcd`")
def resume(backfill_id: Id, *, as_json: AsJson = False) -> None:
    """Continue a paused backfill."""
    _change(
        backfill_id,
        Backfills.resume,
        "continues. See: nightly backfill show",
        as_json=as_json,
    )


@app.command(epilog="Example: `nightly backfill cancel bf-k5mxq2abcd`")
def cancel(backfill_id: Id, *, as_json: AsJson = False) -> None:
    """Hand over no more rows, for good. Applied rows stay applied; the report shows which rows were not called."""
    _change(
        backfill_id,
        Backfills.cancel,
        "is cancelled. See: nightly backfill report",
        as_json=as_json,
    )


@app.command(epilog="Example: `nightly backfill report bf-k5mxq2abcd --output report.csv --rejects rejects.csv`")
def report(
    backfill_id: Id,
    *,
    output: Annotated[Path | None, typer.Option(help="File for the report, written only if complete. [stdout]")] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(help="File for invalid and dead rows, as in your file. It has loginIds; only you can read it."),
    ] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Add each row's loginId, which is secret.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a line for each row (line, reference, account_id, wish, outcome, code, ended_at), and a summary to stderr.

    Works at any time, also before the backfill ends. With only --rejects, just the rejected rows are written.
    --reveal and --rejects show loginIds, so each use is an entry in the audit log.
    """
    services = open_services()
    backfill = services.backfills.get(known_backfill(services.redis, backfill_id))
    if reveal or rejects is not None:
        shown = {"rows": "all" if reveal else "rejected"}
        AuditLog(services.redis).append(Deed(operator(), "backfill.reveal", backfill.id, detail=shown))
    counts: Counter[str] = Counter()
    rows = counted(ended_rows(services.backfills, backfill), counts)
    with ExitStack() as files:
        if rejects is not None:
            rows = with_rejects(rows, files.enter_context(written_whole(rejects, mode=PRIVATE)))
        lines = documents(rows, backfill, services.vault, reveal=reveal)
        if output is not None:
            stream = files.enter_context(written_whole(output, mode=PRIVATE if reveal else 0o644))
            write_report(lines, stream, as_json=as_json, reveal=reveal)
        elif rejects is None or as_json or reveal:
            write_report(lines, sys.stdout.buffer, as_json=as_json, reveal=reveal)
            sys.stdout.flush()
        else:
            deque(rows, maxlen=0)
    if rejects is not None:
        print_rejects(sum(counts[each] for each in REJECTED), rejects)
    if reveal:
        typer.echo("The report has loginIds: keep it secret, and delete it soon.", err=True)
    _summary(backfill, counts)


def _summary(backfill: Backfill, counts: Counter[str]) -> None:
    typer.echo(f"{backfill.id} {backfill.status.value}, {number(backfill.rows)} rows: {outcomes(counts)}.", err=True)
    if waiting := counts[RowOutcome.WAITING]:
        typer.echo(f"{number(waiting)} rows have not ended yet: write the report again after their end.", err=True)


def _change(backfill_id: str, action: Callable[..., None], result: str, *, as_json: bool) -> None:
    services = open_services(to_change=True)
    action(services.backfills, known_backfill(services.redis, backfill_id), by=operator())
    if as_json:
        print_json([document(services.backfills.get(backfill_id))])
        return
    console().print(f"Backfill {plain(backfill_id)} {result} {plain(backfill_id)}", soft_wrap=True)
