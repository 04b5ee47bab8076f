"""`nightly dead-letters correct | body | resubmit | nothing-left | assign | note | snooze | reveal`, of one letter."""

import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.context import misuse, open_services, operator
from worker.cli.dead_letter_actions import decision_of, letter_actions, print_results
from worker.cli.known import complete_letter, known_letter
from worker.cli.output import plain
from worker.errors import InvalidAction
from worker.events.contract import MAX_BODY_BYTES
from worker.ledger.audit import Actor
from worker.operations.letter_actions import LetterActions
from worker.operations.letter_corrections import Done

Id = Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_letter)]
Reason = Annotated[str, typer.Option(help="Why, for later readers; without a loginId.")]
Wish = Annotated[str | None, typer.Option(metavar="on|off", help="The wish that was meant.")]
LoginId = Annotated[
    str | None, typer.Option(help="The loginId that was meant; - reads it from standard input, where no one sees it.")
]
LINE_AT_MOST = 1000
"""Characters read for a loginId, which has 256 at most."""
_SPAN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def correct(letter_id: Id, *, wish: Wish = None, login_id: LoginId = None, reason: Reason) -> None:
    """Correct the wish of a letter, or the loginId that it is about, and close it.

    With --login-id the wish goes to the login that was meant, unless that one has a newer wish. With --wish the
    opposite is wished from now on. Other users of this machine can see arguments, so give the loginId as -.
    """
    if (wish is None) is (login_id is None):
        misuse("give --wish or --login-id, one of the two")
    if login_id == "-":
        login_id = sys.stdin.readline(LINE_AT_MOST).removesuffix("\n")
    actions, by = _open(letter_id)
    if wish is not None:
        _print(actions.correct_wish(letter_id, by=by, wish=wish, reason=reason))
    elif login_id is not None:
        _print(actions.correct_login(letter_id, by=by, login_id=login_id, reason=reason))


def body(letter_id: Id) -> None:
    """Print the body of a rejected message, to be corrected; [kept 1] stands for a value that is not shown."""
    actions, _ = _open(letter_id)
    found = actions.masked_body(letter_id)
    if not found.is_editable:
        raise InvalidAction(found.text)
    typer.echo(found.text)


def resubmit(
    letter_id: Id,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The corrected body; - reads standard input.")],
    *,
    reason: Reason,
) -> None:
    """Accept the corrected body of a rejected message, and close its letter.

    Begin with the output of `nightly dead-letters body`. If an event is still invalid, nothing is done, and the exit
    code is 1.
    """
    actions, by = _open(letter_id)
    _print(actions.resubmit(letter_id, by=by, body=_read(file), reason=reason))


def nothing_left(
    letter_id: Id, *, note: Annotated[str, typer.Option(help="More about it; without a loginId.")] = ""
) -> None:
    """Resolve a deactivation of a login that Flinks does not have: nothing is left to switch off."""
    actions, by = _open(letter_id)
    _print(actions.nothing_left(letter_id, by=by, note=note))


def assign(letter_id: Id, owner: Annotated[str, typer.Argument(help="A name; left out: nobody.")] = "") -> None:
    """Give a letter an owner, or take the owner away."""
    actions, by = _open(letter_id)
    _print(actions.assign(letter_id, by=by, owner=owner))


def note(letter_id: Id, text: Annotated[str, typer.Argument(help="Without a loginId.")]) -> None:
    """Add a note to an open letter."""
    actions, by = _open(letter_id)
    _print(actions.note(letter_id, by=by, note=text))


def snooze(
    letter_id: Id,
    until: Annotated[str, typer.Argument(help="4h, 3d, 2w, a time such as 2026-12-01T08:00:00Z, or `now`.")],
) -> None:
    """Hide an open letter from the usual list until then; `now` shows it again."""
    actions, by = _open(letter_id)
    _print(actions.snooze(letter_id, by=by, until_ms=_moment(until, actions.now_ms())))


def reveal(letter_id: Id, *, reason: Reason) -> None:
    """Print the loginId of a letter. The audit log records who did it and why."""
    actions, by = _open(letter_id)
    typer.echo(plain(actions.reveal(letter_id, by=by, reason=reason)))


COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "correct": (correct, '`nightly dead-letters correct dl-7 --login-id - --reason "typing error"`'),
    "nothing-left": (nothing_left, "`nightly dead-letters nothing-left dl-7`"),
    "body": (body, "`nightly dead-letters body iv-4kq2 > body.json`"),
    "resubmit": (resubmit, '`nightly dead-letters resubmit iv-4kq2 body.json --reason "wrong time"`'),
    "assign": (assign, "`nightly dead-letters assign dl-7 ann`"),
    "note": (note, '`nightly dead-letters note dl-7 "asked the bank"`'),
    "snooze": (snooze, "`nightly dead-letters snooze dl-7 3d`"),
    "reveal": (reveal, '`nightly dead-letters reveal dl-7 --reason "the bank asks"`'),
}


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for name, (command, example) in COMMANDS.items():
        app.command(name, epilog=f"Example: {example}")(command)


def _open(letter_id: str) -> tuple[LetterActions, Actor]:
    services = open_services(to_change=True)
    known_letter(services.redis, letter_id)
    return letter_actions(services), operator()


def _print(done: Done) -> None:
    print_results([decision_of(done)], as_json=False)


def _read(file: str) -> str:
    """Return a file's text; more of it than a body may have is not read."""
    try:
        if file == "-":
            return sys.stdin.read(MAX_BODY_BYTES + 1)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(MAX_BODY_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidAction(f"{file} cannot be read ({type(error).__name__}). Nothing was done.") from None


def _moment(text: str, now_ms: int) -> int | None:
    """Return a time in ms; None: now."""
    if text == "now":
        return None
    if span := _SPAN.fullmatch(text):
        return now_ms + int(span[1]) * _HOURS[span[2]] * 3_600_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        misuse("UNTIL is a span such as 4h, 3d or 2w, a time with a zone such as 2026-12-01T08:00:00Z, or now")
    return round(moment.timestamp() * 1000)
