"""The command tree, in the order of the help page.

A command's module is imported when that command runs, so `nightly --help` and a container's health check
start in a fraction of what all commands together would need.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

TRY = "Try it"
EVERY_DAY = "Every day"
TROUBLE = "When something is wrong"
SET_UP = "Set up"
MACHINES = "For machines and browsers"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: where its function (or its own tree) is, and what the list of commands says of it."""

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
        "Tell what is wished for one login, and why it waits.",
        "Examples: `nightly explain lgn_k5mxq2...`, `nightly explain - --instance acme-ca < login-id.txt`",
    ),
    "dead-letters": Entry("worker.cli.dead_letters:app", EVERY_DAY, "Review what could not be carried out."),
    "publish": Entry(
        "worker.cli.publish:publish",
        EVERY_DAY,
        "Publish events: an account was linked, or went inactive.",
        "Examples: `nightly publish linked --login-id - --account-id cust-42 < login-id.txt`, "
        "`nightly publish --file events.ndjson`",
    ),
    "backfill": Entry(
        "worker.cli.backfill.commands:app",
        EVERY_DAY,
        "Switch many logins on or off: from a file, or as the ledger knows them.",
    ),
    "doctor": Entry(
        "worker.cli.doctor:doctor",
        TROUBLE,
        "Check everything that Nightly needs, and say what to do.",
        "Example: `nightly doctor --json`",
    ),
    "gate": Entry("worker.cli.gate:app", TROUBLE, "Show, close or open the gate: whether Flinks is called at all."),
    "keys": Entry("worker.cli.keys:keys", SET_UP, "Make keys for LOGIN_KEYS and HTTP_EVENTS_SECRETS."),
    "users": Entry("worker.cli.keys:users", SET_UP, "Make password hashes for REVIEW_USERS."),
    "health": Entry(
        "worker.cli.health:health",
        MACHINES,
        "Exit 0 if this machine's worker sent a heartbeat lately.",
        "Example: `HEALTHCHECK CMD nightly health --max-silence 15`",
    ),
    "review": Entry(
        "worker.cli.review:review",
        MACHINES,
        "Serve the read-only status page, and the way in over HTTP.",
        "Example: `nightly review --host 127.0.0.1 --port 8080`",
    ),
}


class LazyGroup(TyperGroup):
    """Lists commands by their summaries; imports the one that is called."""

    def resolve_command(  # type: ignore[override] # typer's own copy of click is not typed for subclasses
        self, ctx: typer.Context, args: list[str]
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        """Return the called command itself in place of its entry in the list."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in ENTRIES else command, rest  # type: ignore[return-value] # see above


def load(name: str) -> TyperCommand | TyperGroup:
    """Import one command of ENTRIES."""
    entry = ENTRIES[name]
    module, _, attribute = entry.target.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        tree = get_group(found)
        tree.name = name
        return tree
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name, epilog=entry.examples or None)(found)
    return cast("TyperCommand", get_command(alone))


app = typer.Typer(
    cls=LazyGroup,
    help="Keeps Flinks nightly refreshes as your events say they should be.",
    epilog="Exit codes: 0 done, 1 found something wrong, 2 wrong usage or settings. Every read takes --json.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _listed() -> None:
    """Stand in the list of commands; LazyGroup never calls it."""


def add(name: str, entry: Entry) -> None:
    """Add a command to the list."""
    ENTRIES[name] = entry
    app.command(name, help=entry.summary, rich_help_panel=entry.panel)(_listed)


for _name, _entry in list(ENTRIES.items()):
    add(_name, _entry)
