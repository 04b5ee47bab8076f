"""`nightly dead-letters`: list and show dead letters. `dead_letter_actions.py` replays and resolves them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from worker.cli import dead_letter_actions as decisions
from worker.cli import group_decisions, letter_commands
from worker.cli import letter_options as options
from worker.cli.context import settings_and_client
from worker.cli.exit_codes import rest_is_printed
from worker.cli.known import complete_letter, known_letter
from worker.cli.letter_screen import picture
from worker.cli.output import (
    COMMAND,
    DIM,
    ago,
    console,
    listing,
    number,
    plain,
    print_json,
    when,
    whole,
)
from worker.ledger.dead_letters import Letter, Letters
from worker.ledger.group_views import GroupView, GroupViews
from worker.ledger.letter_queries import LetterPages
from worker.ledger.queries import Views
from worker.operations import documents
from worker.operations.letter_actions import LetterActions
from worker.redis_client.connect import BytesRedis

SHOWN = 50
"""Letters in a table, if there is no `--limit`; `--json` prints all."""

app = typer.Typer(
    help="Review events that could not be applied: look, replay, resolve.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int | None, typer.Option(help="Maximum number of rows.", min=1)]


@app.command(epilog="Example: `nightly dead-letters groups`")
def groups(*, as_json: AsJson = False) -> None:
    """Count open letters by instance, code and wish, with owner and state. Begin a review here."""
    letters, now_ms = _open()
    kinds = GroupViews(letters.redis).read()
    if as_json:
        print_json(documents.group_document(group) for group in kinds)
        return
    table = listing("Letters", "Code", "Wish", "Instance", "Oldest", "Newest", "Owner", "State", right=["Letters"])
    for group in kinds:
        names = map(plain, (group.code, group.wish, group.instance))
        ages = ago(group.oldest_at, now_ms), ago(group.newest_at, now_ms)
        table.add_row(number(group.count), *names, *ages, plain(group.owner), _state(group))
    console().print(table if kinds else "No dead letter is open.")
    if kinds:
        command = (f"nightly dead-letters list --code {plain(kinds[0].code)}", COMMAND)
        console().print(Text.assemble(("Next: ", DIM), command), soft_wrap=True)


@app.command("list", epilog="Example: `nightly dead-letters list --code INVALID_LOGIN --older-than 7d --limit 20`")
def list_(
    *,
    code: options.Code = None,
    instance: options.Instance = None,
    wish: options.Wish = None,
    source: options.Source = None,
    owner: options.Owner = None,
    state: options.InState = "open",
    older_than: options.OlderThan = None,
    newer_than: options.NewerThan = None,
    attempts: options.Attempts = None,
    suspects: options.Suspects = False,
    newer_event: options.NewerEvent = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List letters, newest first: 50 in a table, or --limit; with --json all.

    Options together select the letters that match all of them.
    """
    settings, client = settings_and_client()
    wanted = options.letter_filter(
        settings,
        client,
        code=code,
        instance=instance,
        wish=wish,
        source=source,
        owner=owner,
        state=state,
        older_than=older_than,
        newer_than=newer_than,
        attempts=attempts,
        suspects=suspects,
        newer_event=newer_event,
    )
    with rest_is_printed() as on_unreadable:
        _print(LetterPages(client).letters(wanted, on_unreadable=on_unreadable), client, limit, as_json=as_json)


@app.command(epilog="Example: `nightly dead-letters show dl-7`")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_letter)], *, as_json: AsJson = False
) -> None:
    """Show one letter: the wish, every attempt, Flinks' message, and what to do next."""
    letters, now_ms = _open()
    letter = known_letter(letters.redis, letter_id)
    history = letters.history(letter.login)
    if as_json:
        print_json([documents.letter_document(letter, history)])
    else:
        replay = LetterActions(letters.redis).preview(letter.id).sentence if letter.login else ""
        console().print(picture(letter, history, now_ms, replay=replay))


@app.command(epilog="Example: `nightly dead-letters export > letters.ndjson`")
def export(*, code: options.Code = None, instance: options.Instance = None, state: options.InState = "open") -> None:
    """Write every letter with its history to standard output, one JSON object a line; without loginIds."""
    settings, client = settings_and_client()
    wanted = options.letter_filter(settings, client, code=code, instance=instance, state=state)
    letters = Letters(client)
    with rest_is_printed() as on_unreadable:
        found = LetterPages(client).letters(wanted, on_unreadable=on_unreadable)
        print_json(documents.letter_document(each, letters.history(each.login)) for each in found)


app.command(epilog="Examples: `nightly dead-letters replay dl-7`, `nightly dead-letters replay --suspects --dry-run`")(
    decisions.replay
)
app.command(
    epilog='Examples: `nightly dead-letters resolve dl-7 --note "card was deleted"`, '
    '`nightly dead-letters resolve --code INVALID_LOGIN --note "cleanup of May"`'
)(decisions.resolve)
letter_commands.add_to(app)


app.command(epilog='Example: `nightly dead-letters acknowledge INVALID_LOGIN --wish off --note "clean-up of May"`')(
    group_decisions.acknowledge
)
app.command(epilog="Example: `nightly dead-letters mute invalid_event --for 7d`")(group_decisions.mute)
app.command(epilog="Example: `nightly dead-letters reopen invalid_event`")(group_decisions.reopen)
app.command("assign-group", epilog="Example: `nightly dead-letters assign-group DISABLED_LOGIN --owner carol`")(
    group_decisions.assign
)


def _print(matching: Iterator[Letter], client: BytesRedis, limit: int | None, *, as_json: bool) -> None:
    if as_json:
        print_json(documents.letter_document(letter) for letter in islice(matching, limit))
        return
    shown = list(islice(matching, limit or SHOWN))
    screen = console()
    screen.print(_table(shown, Views(client).now_ms()) if shown else "No such dead letter.")
    if next(matching, None) is not None:
        screen.print("There are more: --limit N shows N of them, --json all.", style=DIM)


def _state(group: GroupView) -> str:
    state = f"muted until {when(group.muted_until)}" if group.state == "muted" else group.state
    return plain(group.problem) if group.problem else state


def _table(shown: Sequence[Letter], now_ms: int) -> RenderableType:
    is_open = all(letter.status == "open" for letter in shown)
    columns = ("ID", "Code", "Wish", "Instance", "Login, or reason", "Account", "Filed" if is_open else "State")
    has_owner = any(letter.owner for letter in shown)
    table = listing(*columns, *(["Owner"] if has_owner else []), fold=("Login, or reason", "State"))
    for letter in shown:
        subject = whole(letter.login) if letter.login else plain(letter.reason)
        at = letter.created_at if letter.closed_at is None or letter.status == "open" else letter.closed_at
        state = ago(at, now_ms) if is_open else f"{letter.status} {ago(at, now_ms)}"
        about = map(plain, (letter.id, letter.code, letter.wish, letter.instance))
        table.add_row(*about, subject, plain(letter.account_id), state, *([plain(letter.owner)] if has_owner else []))
    return table


def _open() -> tuple[Letters, int]:
    _, client = settings_and_client()
    return Letters(client), Views(client).now_ms()
