"""`nightly dead-letters replay | resolve`: selects letters, asks, closes them one by one, and prints the results."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.context import misuse, open_services, operator
from worker.cli.documents import Decision
from worker.cli.known import check_filters, complete_code, complete_instance, complete_letter, known_letter
from worker.cli.output import console, number, plain, print_json
from worker.errors import LetterClosed, NightlyError
from worker.operations.letter_actions import LetterActions
from worker.operations.letter_corrections import Done

if TYPE_CHECKING:
    from worker.services import Services

WRONG_OUTCOMES = frozenset({"failed", "still_invalid", "already_closed"})
NAMED = 20
"""Maximum results that are printed one by one; the rest are counted."""

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Letters by their id.", autocompletion=complete_letter)
]
Code = Annotated[str | None, typer.Option(help="Every open letter with this code.", autocompletion=complete_code)]
Instance = Annotated[
    str | None, typer.Option(help="Every open letter of this instance.", autocompletion=complete_instance)
]
Suspects = Annotated[
    bool, typer.Option("--suspects", help="Every open letter of a storm: a run of refusals that closed the gate.")
]
All = Annotated[bool, typer.Option("--all", help="Every open letter.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print the selected letters.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a letter.")]


def replay(
    ids: Ids = None,
    *,
    code: Code = None,
    instance: Instance = None,
    suspects: Suspects = False,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replay letters: make the login's newest wish due again, or accept a rejected message again.

    An old wish is never sent: if a newer wish replaced it, its letter is superseded. Asks for confirmation if
    there are several letters and a terminal. Exit code 1 if a letter could not be replayed.
    """
    services = open_services(to_change=True)
    chosen = _choose(services, ids or [], code=code, instance=instance, suspects=suspects, everything=everything)
    if _is_confirmed(chosen, "Replay", dry_run=dry_run, yes=yes, as_json=as_json):
        actions, by = letter_actions(services), operator()
        print_results(decisions(chosen, lambda letter_id: actions.replay(letter_id, by=by)), as_json=as_json)


def resolve(
    ids: Ids = None,
    *,
    note: Annotated[str, typer.Option(help="The reason, for later readers; without a loginId.")],
    code: Code = None,
    instance: Instance = None,
    suspects: Suspects = False,
    everything: All = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close letters without another call; the note says why.

    Asks for confirmation if there are several letters and a terminal.
    """
    services = open_services(to_change=True)
    chosen = _choose(services, ids or [], code=code, instance=instance, suspects=suspects, everything=everything)
    if _is_confirmed(chosen, "Resolve", dry_run=dry_run, yes=yes, as_json=as_json):
        actions, by = letter_actions(services), operator()
        print_results(
            decisions(chosen, lambda letter_id: actions.resolve(letter_id, by=by, note=note)), as_json=as_json
        )


def letter_actions(services: "Services") -> LetterActions:
    """Return the actions on letters, with these services' keys."""
    return LetterActions(services.redis, vault=services.vault, intake=services.intake)


def decisions(letter_ids: Iterable[str], act: Callable[[str], Done]) -> Iterator[Decision]:
    """Act on letters one by one; one that fails does not stop the others."""
    for letter_id in letter_ids:
        try:
            done = act(letter_id)
        except LetterClosed as error:
            yield Decision(letter_id=letter_id, outcome="already_closed", detail=str(error))
        except NightlyError as error:
            yield Decision(letter_id=letter_id, outcome="failed", detail=str(error))
        else:
            yield decision_of(done)


def decision_of(done: Done) -> Decision:
    """Return the result of an action as output."""
    detail = "; ".join(f"{reason.field}: {reason.rule}" for reason in done.reasons) or done.corrected_to
    return Decision.of({"letter_id": done.letter_id, "outcome": done.outcome, "detail": detail})


def _choose(
    services: "Services", ids: list[str], *, code: str | None, instance: str | None, suspects: bool, everything: bool
) -> list[str]:
    is_filtered = everything or suspects or code is not None or instance is not None
    if bool(ids) == is_filtered:
        misuse("give IDs, or select letters with --code, --instance, --suspects or --all")
    if ids:
        return [known_letter(services.redis, letter_id).id for letter_id in dict.fromkeys(ids)]
    check_filters(services.settings, services.redis, code=code, instance=instance)
    return [letter.id for letter in services.letters.list(code=code, instance=instance, only_suspects=suspects)]


def _is_confirmed(chosen: list[str], verb: str, *, dry_run: bool, yes: bool, as_json: bool) -> bool:
    if dry_run and as_json:
        print_json(Decision(letter_id=letter_id, outcome="chosen") for letter_id in chosen)
        return False
    if dry_run or not chosen:
        ids = ", ".join(map(plain, chosen[:NAMED])) + (", ..." if chosen[NAMED:] else "")
        console().print(f"{number(len(chosen))} letters: {ids or 'none is open'}")
        return False
    if len(chosen) > 1 and not yes and sys.stdin.isatty():
        typer.confirm(f"{verb} {number(len(chosen))} letters?", abort=True, err=True)
    return True


def print_results(results: Iterable[Decision], *, as_json: bool) -> None:
    """Print the results of an action, in detail only the first ones and failures; exits with 1 for a failure."""
    counts: Counter[str] = Counter()
    for result in results:
        counts[result.outcome] += 1
        if as_json:
            print_json([result])
        elif result.outcome in WRONG_OUTCOMES or counts.total() <= NAMED:
            detail = f" ({plain(result.detail)})" if result.detail else ""
            console().print(f"{plain(result.letter_id)}: {result.outcome.replace('_', ' ')}{detail}")
    if not as_json and counts.total() > 1:
        summary = ", ".join(f"{number(count)} {outcome.replace('_', ' ')}" for outcome, count in counts.items())
        console().print(f"In total: {summary}")
    if WRONG_OUTCOMES & counts.keys():
        raise typer.Exit(1)
