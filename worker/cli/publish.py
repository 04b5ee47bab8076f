"""`nightly publish`: appends one event, or a file of events, to the stream. It never prints a loginId."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import redis
import typer

from worker.cli.context import misuse, settings_and_client
from worker.cli.output import console, number, plain
from worker.errors import InvalidEvent, NotReplicated
from worker.events.contract import MAX_BODY_BYTES
from worker.events.publisher import publish as send_one
from worker.events.publisher import publish_many

LINES_NAMED = 100
"""Maximum bad lines that are printed one by one; the rest are counted."""


def publish(
    kind: Annotated[str | None, typer.Argument(help="linked or inactive.", metavar="linked|inactive")] = None,
    login_id: Annotated[str | None, typer.Option(help="Flinks' loginId; - reads it from standard input.")] = None,
    occurred_at: Annotated[str | None, typer.Option(help="When it happened: 2026-11-22T10:00:00Z. [now]")] = None,
    account_id: Annotated[str | None, typer.Option(help="Your own id of the account, which is not secret.")] = None,
    instance: Annotated[str | None, typer.Option(help="Flinks instance. [the workers' default]")] = None,
    event_id: Annotated[str | None, typer.Option(help="Publishing the same id twice is harmless. [a new one]")] = None,
    file: Annotated[Path | None, typer.Option(help="Events, one JSON object a line; - is standard input.")] = None,
) -> None:
    """Publish an event: an account was linked, or went inactive.

    A line of --file is a CloudEvent, or a flat object with type, login_id, occurred_at and optionally event_id,
    account_id, instance. An event that the workers would reject is not sent. Of a file, the number of such a line and
    the reason are printed, all other lines are sent, and the exit code is 1.

    Other users of this machine can see arguments: --login-id - reads the loginId from standard input.
    """
    single = (kind, login_id, occurred_at, account_id, instance, event_id)
    if file is not None:
        if any(value is not None for value in single):
            misuse("--file has whole events: it allows no other argument")
        _publish_file(file)
        return
    if kind not in {"linked", "inactive"} or login_id is None:
        misuse("give linked or inactive with --login-id, or --file")
    _, client = settings_and_client()
    secret = sys.stdin.readline().rstrip("\r\n") if login_id == "-" else login_id
    try:
        sent_id = send_one(
            "linked" if kind == "linked" else "inactive",
            login_id=secret,
            occurred_at=occurred_at,
            account_id=account_id,
            instance=instance,
            event_id=event_id,
            client=client,
        )
    except InvalidEvent as error:
        misuse(error.reason)
    console().print(f"Published event {plain(sent_id)}.", soft_wrap=True)


def read_lines(stream: BinaryIO, bad: "BadLines") -> Iterator[object]:
    """Yield the decoded lines of `stream` in bounded memory; a line that is not JSON is reported to `bad`."""
    for line_number, line in enumerate(iter(lambda: stream.readline(MAX_BODY_BYTES + 1), b""), 1):
        bad.line_number = line_number
        if len(line) > MAX_BODY_BYTES and not line.endswith(b"\n"):
            bad.add(f"longer than {MAX_BODY_BYTES} bytes")
            while (rest := stream.readline(MAX_BODY_BYTES)) and not rest.endswith(b"\n"):
                continue
            continue
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            bad.add("is not JSON")
        else:
            yield event


class BadLines:
    """Prints the number and reason of bad lines to stderr, without their content, and counts them."""

    def __init__(self) -> None:
        self.line_number = 0
        self.count = 0

    def add(self, reason: str) -> None:
        """Report the line that was read last."""
        self.count += 1
        if self.count <= LINES_NAMED:
            typer.echo(f"line {self.line_number}: {reason}", err=True)
        elif self.count == LINES_NAMED + 1:
            typer.echo("... further bad lines are only counted", err=True)


def _publish_file(path: Path) -> None:
    _, client = settings_and_client()
    bad, sent, sent_to_line = BadLines(), 0, 0

    def note_sent(count: int) -> None:
        nonlocal sent, sent_to_line
        sent, sent_to_line = count, bad.line_number

    try:
        with opened(path) as stream:
            publish_many(
                read_lines(stream, bad),
                client=client,
                on_invalid=lambda _, error: bad.add(error.reason),
                on_sent=note_sent,
            )
    except (redis.RedisError, NotReplicated):
        typer.echo(
            f"Stopped. The valid lines up to line {number(sent_to_line)} were sent; publish the lines after it again.",
            err=True,
        )
        raise
    finally:
        console().print(f"Published {number(sent)} events. Not sent, because invalid: {number(bad.count)} lines.")
    if bad.count:
        raise typer.Exit(1)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, or standard input for -; exit code 2 if it cannot be read."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        misuse(f"{path} cannot be read: {error.strerror}")
    with stream:
        yield stream
