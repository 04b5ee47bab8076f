"""The command tree: the module and summary of each command, in the order of the help page.

A command's module is imported when that command runs, so `nightly --help` and a container's health check start fast.
"""

import os
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

TRY = "Try it"
EVERY_DAY = "Every day"
TROUBLE = "When something is wrong"
SET_UP = "Set up"
MACHINES = "For machines and browsers"
_EXAMPLE = re.compile(r"`([^`]+)`")
_PIPED = {"terminal_width": 1_000_000, "max_content_width": 1_000_000}


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: where its function or its subcommands are (`module:name`), and its text in the list of commands."""

    target: str
    panel: str
    summary: str
    examples: str = ""


ENTRIES: dict[str, Entry] = {
    "status": Entry(
        "worker.cli.status:status",
        EVERY_DAY,
        "Show gates, backlog, results, dead letters and workers.",
        "Examples: `nightly status --watch`, `nightly status --json`",
    ),
    "explain": Entry(
        "worker.cli.explain:explain",
        EVERY_DAY,
        "Show the wish for one login, its attempts, and why it waits; by any id.",
        "Examples: `nightly explain lgn_k5mxq2...`, `nightly explain evt-1`, `nightly explain cust-42`, "
        "`nightly explain - --instance acme-ca < login-id.txt`",
    ),
    "dead-letters": Entry("worker.cli.dead_letters:app", EVERY_DAY, "Review events that could not be applied."),
    "publish": Entry(
        "worker.cli.publish:publish",
        EVERY_DAY,
        "Publish events: an account was linked, or went inactive.",
        "Examples: `nightly publish linked --login-id - --account-id cust-42 < login-id.txt`, "
        "`nightly publish --file events.ndjson --wait`",
    ),
    "backfill": Entry(
        "worker.cli.backfill.commands:app",
        EVERY_DAY,
        "Switch many logins on or off: those in a file, or in the ledger.",
    ),
    "bulk": Entry(
        "worker.cli.bulk.commands:app", EVERY_DAY, "Follow actions on many dead letters: progress, results, reports."
    ),
    "doctor": Entry(
        "worker.cli.doctor:doctor",
        TROUBLE,
        "Check everything that Nightly needs, and advise what to do.",
        "Example: `nightly doctor --json`",
    ),
    "gate": Entry("worker.cli.gate:app", TROUBLE, "Show, close or open the gate that allows calls to Flinks."),
    "audit-log": Entry("worker.cli.audit_log:app", TROUBLE, "Show, verify and export who changed what."),
    "keys": Entry("worker.cli.keys:keys", SET_UP, "Make keys for LOGIN_KEYS and HTTP_EVENTS_SECRETS."),
    "users": Entry(
        "worker.cli.keys:users", SET_UP, "Make password hashes for REVIEW_USERS, and tokens for REVIEW_TOKENS."
    ),
    "health": Entry(
        "worker.cli.health:health",
        MACHINES,
        "Exit 0 if this machine's worker is alive and due work is processed.",
        "Example: `HEALTHCHECK CMD nightly health --max-silence 15`",
    ),
    "review": Entry(
        "worker.cli.review:review",
        MACHINES,
        "Serve the read-only review page, and `POST /events`.",
        "Example: `nightly review --host 127.0.0.1 --port 8080`",
    ),
}


class LazyGroup(TyperGroup):
    """Lists all commands by their summaries, and imports only the one that is called."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        shaped(self)

    def resolve_command(  # type: ignore[override] # typer's own copy of click is not typed for subclasses
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Return the called command itself instead of its placeholder in the list."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, shaped(loaded(name, ENTRIES[name])) if name in ENTRIES else command, rest  # type: ignore[return-value] # see above


def loaded(name: str, entry: Entry) -> TyperCommand | TyperGroup:
    """Import one command."""
    module, _, attribute = entry.target.partition(":")
    command = getattr(import_module(module), attribute)
    if isinstance(command, typer.Typer):
        tree = get_group(command)
        tree.name = name
        return tree
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name, epilog=entry.examples or None)(command)
    return cast("TyperCommand", get_command(single))


def shaped(command: TyperCommand | TyperGroup) -> TyperCommand | TyperGroup:
    """Write each example of a command and its subcommands on its own line; in a pipe, help is plain text."""
    is_piped = not sys.stdout.isatty() and os.environ.get("TTY_COMPATIBLE") != "1"
    for each in (command, *getattr(command, "commands", {}).values()):
        if is_piped:
            each.rich_markup_mode = None
            each.context_settings = {**each.context_settings, **_PIPED}
        if examples := _EXAMPLE.findall(each.epilog or ""):
            form = "  {}" if is_piped else "- `{}`"
            head = "\b\nExamples:" if is_piped else "Examples:\n"
            each.epilog = "\n".join([head, *map(form.format, examples)])
    return command


app = typer.Typer(
    cls=LazyGroup,
    help="Switches Flinks nightly refreshes on and off, as your events require.",
    epilog="Exit codes: 0 done, 1 found something wrong, 2 wrong usage or settings. Commands that read have --json.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _placeholder() -> None:
    """Take a command's place in the list; LazyGroup never calls it."""


def add(name: str, entry: Entry) -> None:
    """Add a command to the list."""
    ENTRIES[name] = entry
    app.command(name, help=entry.summary, rich_help_panel=entry.panel)(_placeholder)


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the value of the option
    if is_wanted:
        typer.echo(f"nightly {version('nightly-refresh-worker')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Give the whole command its own options."""


for _name, _entry in list(ENTRIES.items()):
    add(_name, _entry)
