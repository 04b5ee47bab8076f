"""`nightly doctor`: prints the checks of worker/operations/diagnose.py, each with advice."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from worker.cli.output import BAD, DIM, GOOD, WARN, Rows, console, plain, print_json
from worker.operations import state_documents as documents
from worker.operations.checks import Check, Level
from worker.operations.diagnose import examine

_MARKS = {
    Level.OK: ("ok", GOOD),
    Level.UNKNOWN: ("?", DIM),
    Level.WARN: ("warn", WARN),
    Level.FAIL: ("FAIL", BAD),
}


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a check.")] = False) -> None:
    """Check settings, Redis, LOGIN_KEYS, Flinks' address, gates, workers and backlog, and advise what to do.

    Changes nothing, and makes no call to Flinks. Exit code 1 if a check fails; warnings do not count.
    """
    checks = list(examine())
    if as_json:
        print_json(documents.Check.of(asdict(check)) for check in checks)
    else:
        console().print(picture(checks))
    if any(check.level is Level.FAIL for check in checks):
        raise typer.Exit(1)


def picture(checks: list[Check]) -> Rows:
    """Return a row for each check, its advice below, and the totals at the end."""
    rows: list[tuple[str | Text, ...]] = []
    for check in checks:
        body = Text(plain(check.what))
        if check.advice:
            body.append(f"\n{plain(check.advice)}", "" if check.level is Level.FAIL else DIM)
        rows.append((Text(*_MARKS[check.level]), plain(check.name), body))
    count = {level: sum(check.level is level for check in checks) for level in Level}
    worst = BAD if count[Level.FAIL] else WARN if count[Level.WARN] else GOOD
    rows.append(("", "", ""))
    rows.append(("", Text("in total", worst), f"{count[Level.FAIL]} failed, {count[Level.WARN]} warnings"))
    return Rows(rows)
