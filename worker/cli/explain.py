"""`nightly explain`: prints what the ledger has about a login or a dead letter, by any of its ids."""

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from worker.cli.context import misuse, open_services, settings_and_client
from worker.cli.known import complete_instance, complete_letter, known_instance
from worker.cli.letter_screen import picture as letter_picture
from worker.cli.login_story import story
from worker.cli.output import console, counted, listing, plain, print_json
from worker.config.settings import Settings
from worker.ledger.dead_letters import Letters
from worker.ledger.queries import Views
from worker.operations import documents
from worker.operations.search import JOB, LETTER, REFERENCE, Found, Search
from worker.operations.waiting_reason import waiting_reason
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

NOT_FOUND, SEVERAL = 1, 2
SHOWN = 50
"""Maximum matches in a table; `--json` prints all."""


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A loginId (- reads it), a reference (lgn_...), a dead letter, an event id or an account id.",
            autocompletion=complete_letter,
        ),
    ],
    *,
    instance: Annotated[
        str | None,
        typer.Option(help="Flinks instance of a loginId. [every configured one]", autocompletion=complete_instance),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each match.")] = False,
) -> None:
    """Show the wish for one login, its attempts, and why it waits; or a dead letter.

    Several matches are listed, with exit code 2, so that you can name one; --json prints all of them. Exit code 1 if
    nothing is found. For an event id or an account id the whole ledger is read, which takes tens of seconds for a
    million logins; the ledger has only the newest event of a login. Looking up a loginId needs LOGIN_KEYS. Other users
    of this machine can see arguments, so give a loginId on standard input, with - as WHAT.
    """
    text = sys.stdin.readline().strip() if what == "-" else what
    if not text:
        misuse("WHAT is empty")
    settings, client = settings_and_client()
    has_keys = settings.login_keys is not None
    search = Search(
        client, open_vault=_open_vault if has_keys else None, instances=lambda: _names(settings, client, instance)
    )
    with counted("logins read") as count:
        found = [each for each in search.find(text, on_logins=count).found if not each.job]
    if not found:
        _say_what_was_searched(text, has_keys=has_keys)
        raise typer.Exit(NOT_FOUND)
    if as_json:
        print_json(_document(client, each) for each in found)
    elif len(found) == 1:
        _print_one(client, found[0])
    else:
        _print_table(found)
        raise typer.Exit(SEVERAL)


def _open_vault() -> Vault:
    return open_services().vault


def _names(settings: Settings, client: BytesRedis, instance: str | None) -> Sequence[str]:
    if instance:
        return [known_instance(settings, client, instance)]
    return sorted({settings.flinks_instance, *settings.instances()})


def _why(client: BytesRedis, login: dict[str, Any]) -> str:
    views = Views(client)
    now_ms = views.now_ms()
    return waiting_reason(login, views.gate(login["instance"]), views.workers(now_ms), now_ms)


def _document(client: BytesRedis, found: Found) -> documents.Login | documents.Letter:
    if found.letter:
        return documents.letter_document(found.letter, Letters(client).history(found.letter.login))
    login = found.login or {}
    return documents.Login.of(login, waiting_reason=_why(client, login))


def _print_one(client: BytesRedis, found: Found) -> None:
    now_ms = Views(client).now_ms()
    if found.letter:
        console().print(letter_picture(found.letter, Letters(client).history(found.letter.login), now_ms))
    elif found.login:
        letter = Search(client, open_vault=None, instances=list).letter(found.login["dead_letter"])
        console().print(story(found.login, letter, _why(client, found.login), now_ms))


def _print_table(found: Sequence[Found]) -> None:
    table = listing("Match", "What it is", "Instance", "Wish", "State")
    for each in found[:SHOWN]:
        if each.letter:
            one, kind = each.letter, f"dead letter with this {each.by}"
            cells = one.id, kind, one.instance, one.wish, f"{one.code}, {one.status}"
        else:
            about = each.login or {}
            kind = f"login with this {each.by}"
            cells = about["login"], kind, about["instance"], about["wish"], about["state"].replace("_", " ")
        table.add_row(*map(plain, cells))
    console().print(table)
    more = f"There are {len(found) - SHOWN:,} more: --json prints all. " if len(found) > SHOWN else ""
    console().print(f"{more}To see one: nightly explain MATCH", soft_wrap=True)


def _say_what_was_searched(text: str, *, has_keys: bool) -> None:
    for line in _reasons(text, has_keys=has_keys):
        typer.echo(line, err=True)


def _reasons(text: str, *, has_keys: bool) -> Iterator[str]:
    """Yield what was searched and why nothing may have been found; without the text, which may be a loginId."""
    if JOB.fullmatch(text):
        kind, command = ("backfill", "backfill") if text.startswith("bf-") else ("bulk job", "bulk")
        yield f"This is the id of a {kind}: nightly {command} show {text}"
        return
    if REFERENCE.fullmatch(text) or LETTER.fullmatch(text):
        yield "The ledger has no such reference, dead letter, event id or account id."
    else:
        yield "No login or dead letter of the ledger has this loginId, event id or account id."
    if not has_keys:
        yield "A loginId was not looked up, because LOGIN_KEYS is not set."
    yield "Possible reasons:"
    yield "- its event still waits for a worker: nightly status"
    yield "- a newer event of its login replaced it, and the ledger keeps only the newest one"
    yield "- its instance is not configured here"
    yield "- its dead letter was closed more than 90 days ago"
