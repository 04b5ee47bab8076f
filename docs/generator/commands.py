"""Describes every command of `nightly` in one page, docs/commands.md, from the commands themselves."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.__main__ import SANDBOX
from worker.cli.commands import ENTRIES, EVERY_DAY, MACHINES, SET_UP, TROUBLE, TRY, Entry, loaded

_PAGE = """\
# Commands

`nightly COMMAND --help` shows all options of a command. `make schemas` generates this page from the commands.

{answers}
## In general

- **Exit codes**: 0 done, 1 found something wrong, 2 wrong usage or settings.
- **`--json`** prints one object a line, as [cli.schema.json](schemas/cli.schema.json) describes for each command.
  Times are ISO 8601 in UTC and end in `_at`, durations end in `_seconds` or `_ms`, a wish is `on` or `off`, and what is
  not known is null.
- **Ids are never cut.** On a terminal that is too narrow for a table, each row is a stack of names and values. In a
  pipe, output is plain text without a width.
- **Completion** offers ids, codes, instances and backfills: `nightly --install-completion`.
- **loginIds are secret**, and other users of the machine can see arguments: give a loginId on standard input, with `-`.
  No command prints one, unless you ask for it (`nightly backfill report ID --reveal`, `--rejects FILE`).

{tables}"""
ANSWERS: Mapping[str, str] = {
    "see whether all is well": "status",
    "know what is wrong, and what to do about it": "doctor",
    "know what became of a login, an event or an account": "explain",
    "send an event by hand, and see its result": "publish",
    "review what could not be applied": "dead-letters groups",
    "send a refused wish again, after its cause is removed": "dead-letters replay",
    "close a dead letter without another call": "dead-letters resolve",
    "stop all calls to Flinks, and resume them": "gate close",
    "switch many logins at once": "backfill start",
    "make keys and passwords": "keys new",
    "try everything without Flinks": "demo",
}
"""What a reader wants, and the command for it."""
_SANDBOX_NOTE = "These are in a checkout and in the demo image, not in the production image.\n\n"
_EXAMPLE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Command:
    """One line of the page."""

    name: str
    summary: str
    example: str


def commands(name: str, entry: Entry) -> Iterator[Command]:
    """Yield a command, or each of its subcommands."""
    command = loaded(name, entry)
    children = getattr(command, "commands", None)
    for child_name, child in [(name, command)] if children is None else children.items():
        full_name = name if children is None else f"{name} {child_name}"
        examples = _EXAMPLE.findall(child.epilog or "")
        yield Command(full_name, _sentence(child.help or ""), examples[0] if examples else "")


def page() -> str:
    """Return docs/commands.md."""
    answers = "".join(f"| {wanted} | `nightly {name}` |\n" for wanted, name in ANSWERS.items())
    return _PAGE.format(
        answers=f"| to | type |\n|---|---|\n{answers}",
        tables="\n".join(map(_table, (EVERY_DAY, TROUBLE, SET_UP, MACHINES, TRY))),
    )


def every_command() -> list[Command]:
    """Return every command, in the order of the help page."""
    return [command for name, entry in (ENTRIES | SANDBOX).items() for command in commands(name, entry)]


def _table(panel: str) -> str:
    entries = {name: entry for name, entry in (ENTRIES | SANDBOX).items() if entry.panel == panel}
    lines = [
        f"| `{one.name}` | {one.summary} | {f'`{_in_table(one.example)}`' if one.example else ''} |\n"
        for name, entry in entries.items()
        for one in commands(name, entry)
    ]
    note = _SANDBOX_NOTE if panel == TRY else ""
    return f"## {panel}\n\n{note}| `nightly` ... | what it does | example |\n|---|---|---|\n{''.join(lines)}"


def _sentence(text: str) -> str:
    """Return the first sentence of a help text."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return _in_table(re.split(r"(?<=[.])\s", paragraph, maxsplit=1)[0])


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")
