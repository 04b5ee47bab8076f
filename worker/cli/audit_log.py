"""`nightly audit-log`: shows, verifies and exports who changed what."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from worker.cli.context import misuse, settings_and_client
from worker.cli.output import DIM, console, listing, number, plain, print_json, when, whole
from worker.ledger.audit import AuditLog, Entry, Head, Verification, verify_chain
from worker.operations.documents import AuditEntry, AuditVerification

app = typer.Typer(
    help="Show, verify and export who changed what: an entry for each change by a person.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
SHOWN, PAGE = 50, 500
_HASH = re.compile(r"hash\W+((?:[0-9a-f]{8}:){7}[0-9a-f]{8})")
_NUMBER = re.compile(r"number\W+(\d+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list", epilog="Examples: `nightly audit-log list --target dl-7`, `nightly audit-log list --json`")
def list_(
    *,
    target: Annotated[
        str | None, typer.Option(help="Only about this letter, login, instance, group, job or backfill.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Only by this person.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as letter.replay, or all of one kind: letter.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of entries.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """List entries, newest first: 50 in a table, or --limit; with --json all."""
    entries = (
        entry
        for entry in _newest_first(_open(), target)
        if by in {None, entry.by} and action in {None, entry.action, entry.action.partition(".")[0]}
    )
    if as_json:
        print_json(AuditEntry.of(asdict(entry), hash=entry.hash) for entry in islice(entries, limit))
        return
    table = listing(
        "No.", "At (UTC)", "By", "Via", "Action", "Target", "Why, and details", right=["No."], fold=["Why, and details"]
    )
    for entry in islice(entries, limit or SHOWN):
        via = f"{entry.via} {entry.address}".strip()
        who = plain(entry.by), plain(via), plain(entry.action)
        table.add_row(number(entry.n), when(entry.at), *who, whole(entry.target), plain(_details(entry)))
    screen = console()
    screen.print(table if table.rows else "No such entry.")
    if next(entries, None) is not None:
        screen.print("There are more: --limit N shows N of them, --json all.", style=DIM)


@app.command(
    epilog="Examples: `nightly audit-log verify`, `cat worker*.log | nightly audit-log verify --heads -`, "
    "`nightly audit-log verify --file audit.ndjson --heads worker.log`"
)
def verify(
    *,
    heads: Annotated[
        str | None, typer.Option(help="A log with `audit_head` lines to compare with; - is standard input.")
    ] = None,
    head: Annotated[list[str] | None, typer.Option(help='A head to compare with: "NUMBER HASH".')] = None,
    file: Annotated[Path | None, typer.Option(help="Verify this export instead of the ledger.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check that no entry was changed, added or removed. Exit code 1 if one was.

    Without heads from a log, it cannot find a log that was rewritten as a whole: whoever may write to Redis can
    calculate every hash again.
    """
    logged = [*_given(head or []), *(_logged(heads) if heads else ())]
    if file is None:
        found = _open().verify(logged=logged)
    else:
        with _opened(str(file)) as stream:
            found = verify_chain((line.rstrip("\n") for line in stream), logged=logged)
    if as_json:
        print_json([_document(found)])
    else:
        _print(found, len(logged))
    if found.broken_at is not None:
        raise typer.Exit(1)


@app.command(epilog="Example: `nightly audit-log export > audit.ndjson`")
def export() -> None:
    """Write every entry to standard output exactly as it is stored, one a line; `verify --file` checks the result."""
    for text in _open().export():
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _open() -> AuditLog:
    return AuditLog(settings_and_client()[1])


def _newest_first(log: AuditLog, target: str | None) -> Iterator[Entry]:
    before = None
    while entries := log.entries(before=before, limit=PAGE, target=target):
        yield from entries
        if before is not None and entries[-1].n >= before:  # somebody changed the numbers
            return
        before = entries[-1].n


def _details(entry: Entry) -> str:
    detail = ", ".join(f"{name}: {value}" for name, value in entry.detail.items() if value != "")
    return "; ".join(filter(None, (entry.why, detail)))


def _given(texts: Iterable[str]) -> Iterator[Head]:
    for text in texts:
        try:
            yield Head.read(text)
        except ValueError as error:
            misuse(f"--head: {error}")


def _logged(path: str) -> list[Head]:
    """Return the heads in the lines of a log, JSON or text, in which each has the name `audit_head`."""
    with _opened(path) as stream:
        lines = [_COLOUR.sub("", line) for line in stream if "audit_head" in line]
    found = [(_NUMBER.search(line), _HASH.search(line)) for line in lines]
    heads = [Head.read(f"{number[1]} {digest[1]}") for number, digest in found if number and digest]
    return heads or misuse(f"{path} has no line with an audit_head")


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == "-":
        yield sys.stdin
        return
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as stream:
            yield stream
    except OSError as error:
        misuse(f"{path} cannot be read: {error.strerror}")


def _document(found: Verification) -> AuditVerification:
    return AuditVerification(
        is_intact=found.broken_at is None,
        count=found.count,
        number=found.head.number,
        hash=found.head.hash,
        broken_entry=found.broken_at,
        reason=found.reason,
    )


def _print(found: Verification, logged: int) -> None:
    screen = console()
    if found.broken_at is not None:
        screen.print(f"The audit log is broken at entry {number(found.broken_at)}: {plain(found.reason)}.")
        screen.print("Keep Redis as it is, and compare an export with the heads in the logs: see docs/audit.md.")
        return
    entries = "1 entry" if found.count == 1 else f"{number(found.count)} entries"
    compared = f" It agrees with every logged head ({number(logged)})." if logged else ""
    screen.print(f"The audit log is intact: {entries}.{compared}")
    if found.head.number:
        screen.print(f"The last one: {found.head.number} {found.head.grouped}", soft_wrap=True)
