"""`nightly publish`: appends one event, or a file of events, to the stream. It never prints a loginId."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import redis
import typer

from worker.cli.context import misuse, open_services, settings_and_client
from worker.cli.output import console, number, plain
from worker.cli.publication import BadLines, Publication, print_results
from worker.errors import InvalidEvent, NotReplicated
from worker.events.contract import MAX_BODY_BYTES
from worker.ledger.queries import Views
from worker.operations.event_results import EventResults
from worker.redis_client.connect import BytesRedis

WAIT_SECONDS = 30.0


def publish(
    kind: Annotated[str | None, typer.Argument(help="linked or inactive.", metavar="linked|inactive")] = None,
    login_id: Annotated[str | None, typer.Option(help="Flinks' loginId; - reads it from standard input.")] = None,
    occurred_at: Annotated[str | None, typer.Option(help="When it happened: 2026-11-22T10:00:00Z. [now]")] = None,
    account_id: Annotated[str | None, typer.Option(help="Your own id of the account, which is not secret.")] = None,
    instance: Annotated[str | None, typer.Option(help="Flinks instance. [the workers' default]")] = None,
    event_id: Annotated[str | None, typer.Option(help="Publishing the same id twice is harmless. [a new one]")] = None,
    file: Annotated[Path | None, typer.Option(help="Events, one JSON object a line; - is standard input.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result of each event; needs LOGIN_KEYS.")] = False,
    within: Annotated[float, typer.Option(help="Maximum seconds that --wait waits.", min=0, max=3600)] = WAIT_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object an event.")] = False,
) -> None:
    """Publish an event: an account was linked, or went inactive.

    A line of --file is a CloudEvent, or a flat object with type, login_id, occurred_at and optionally event_id,
    account_id, instance. An event that the workers would reject is not sent. Of a file, the number of such a line and
    the reason are printed, all other lines are sent, and the exit code is 1.

    With --wait, prints what became of each event, or of a file their counts: applied, superseded or duplicate; or
    waiting, dead-lettered or rejected, which are exit code 1.

    Other users of this machine can see arguments: --login-id - reads the loginId from standard input.
    """
    single = {
        "kind": kind, "login_id": login_id, "occurred_at": occurred_at, "account_id": account_id,
        "instance": instance, "event_id": event_id,
    }  # fmt: skip
    if file is not None:
        if any(value is not None for value in single.values()):
            misuse("--file has whole events: it allows no other argument")
    elif kind not in {"linked", "inactive"} or login_id is None:
        misuse("give linked or inactive with --login-id, or --file")
    client, results = _opened_services(wait=wait, as_json=as_json)
    publication = Publication(client, results, follows=wait, as_json=as_json)
    bad_lines = 0
    if file is not None:
        bad_lines = _send_file(publication, file, as_json=as_json)
    else:
        _send_one(publication, single, is_quiet=wait or as_json)
    if wait:
        publication.follow(within)
        print_results(publication, Views(client), as_json=as_json)
    if bad_lines or (wait and not publication.is_done):
        raise typer.Exit(1)


def _opened_services(*, wait: bool, as_json: bool) -> tuple[BytesRedis, EventResults | None]:
    if wait:
        services = open_services()
        instance = services.settings.flinks_instance
        return services.redis, EventResults(services.redis, services.vault, default_instance=instance)
    settings, client = settings_and_client()
    if not as_json or settings.login_keys is None:
        return client, None
    return client, EventResults(client, settings.vault(), default_instance=settings.flinks_instance)


def _send_one(publication: Publication, single: dict[str, str | None], *, is_quiet: bool) -> None:
    event = {name: value for name, value in single.items() if value is not None}
    event["type"] = f"account.{event.pop('kind')}"
    if event["login_id"] == "-":
        event["login_id"] = sys.stdin.readline().rstrip("\r\n")
    event.setdefault("occurred_at", datetime.now(UTC).isoformat())
    try:
        event_id = publication.send_one(event)
    except InvalidEvent as error:
        misuse(error.reason)
    if not is_quiet:
        console().print(f"Published event {plain(event_id)}.", soft_wrap=True)


def _send_file(publication: Publication, path: Path, *, as_json: bool) -> int:
    """Send the valid lines of a file; returns the number of the others."""
    bad = BadLines(as_json=as_json)
    with opened(path) as stream:
        try:
            publication.send_lines(read_lines(stream, bad), bad)
        except (redis.RedisError, NotReplicated):
            line = number(publication.sent_to_line)
            typer.echo(
                f"Stopped. The valid lines up to line {line} were sent; publish the lines after it again.", err=True
            )
            raise
        finally:
            if not as_json:
                sent = number(publication.sent)
                console().print(f"Published {sent} events. Not sent, because invalid: {number(bad.count)} lines.")
    return bad.count


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
