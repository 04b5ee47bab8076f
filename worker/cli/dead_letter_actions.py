"""`nightly dead-letters replay | resolve`: selects letters, asks, closes them, and prints the results.

One letter is closed at once; several, or those of a filter, are a bulk job (bulk_decisions.py).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.backfill.job_models import Verb
from worker.cli.bulk.commands import Rate
from worker.cli.bulk_decisions import print_where, results, start, wait_for
from worker.cli.context import misuse, open_services, operator
from worker.cli.known import check_filters, complete_code, complete_instance, complete_letter, known_letter
from worker.cli.output import console, number, plain, print_json
from worker.errors import LetterClosed, NightlyError
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages
from worker.operations.documents import Decision
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
Wait = Annotated[
    bool,
    typer.Option("--wait/--no-wait", help="Of several letters: wait until each is decided, and print the results."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a letter.")]


def replay(
    ids: Ids = None,
    *,
    code: Code = None,
    instance: Instance = None,
    suspects: Suspects = False,
    everything: All = False,
    dry_run: DryRun = False,
    rate: Rate = None,
    wait: Wait = True,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replay letters: make the login's newest wish due again, or accept a rejected message again.

    An old wish is never sent: if a newer wish replaced it, its letter is superseded. Several letters are a bulk job,
    which workers run: Ctrl-C stops only the display. Asks for confirmation if there are several letters and a terminal.
    Exit code 1 if a letter could not be replayed, or the job stands still.
    """
    services = open_services(to_change=True)
    chosen = _choose(services, ids or [], code=code, instance=instance, suspects=suspects, everything=everything)
    if dry_run:
        _print_chosen(services, chosen, as_json=as_json)
    elif isinstance(chosen, str):
        actions, by = letter_actions(services), operator()
        print_results(decisions([chosen], lambda letter_id: actions.replay(letter_id, by=by)), as_json=as_json)
    else:
        decide_together(services, Verb.REPLAY, chosen, rate=rate, wait=wait, yes=yes, as_json=as_json)


def resolve(
    ids: Ids = None,
    *,
    note: Annotated[str, typer.Option(help="The reason, for later readers; without a loginId.")],
    code: Code = None,
    instance: Instance = None,
    suspects: Suspects = False,
    everything: All = False,
    dry_run: DryRun = False,
    rate: Rate = None,
    wait: Wait = True,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close letters without another call; the note says why.

    Several letters are a bulk job, as with `replay`. Asks for confirmation if there are several and a terminal.
    """
    services = open_services(to_change=True)
    chosen = _choose(services, ids or [], code=code, instance=instance, suspects=suspects, everything=everything)
    if dry_run:
        _print_chosen(services, chosen, as_json=as_json)
    elif isinstance(chosen, str):
        actions, by = letter_actions(services), operator()
        done = decisions([chosen], lambda letter_id: actions.resolve(letter_id, by=by, note=note))
        print_results(done, as_json=as_json)
    else:
        decide_together(services, Verb.RESOLVE, chosen, note=note, rate=rate, wait=wait, yes=yes, as_json=as_json)


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


def decide_together(
    services: "Services",
    verb: Verb,
    selection: "list[str] | LetterFilter",
    *,
    note: str = "",
    rate: float | None,
    wait: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Replay or resolve several letters as one bulk job."""
    job = start(services, verb, selection, note=note, rate=rate, yes=yes, as_json=as_json)
    if job is None:
        return
    if not wait:
        print_where(job, "")
        return
    job, reason = wait_for(services, job, as_json=as_json)
    print_where(job, reason)
    print_results(results(services, job), as_json=as_json)
    if reason:
        raise typer.Exit(1)


def _choose(
    services: "Services", ids: list[str], *, code: str | None, instance: str | None, suspects: bool, everything: bool
) -> "str | list[str] | LetterFilter":
    """Return the id of the only letter, or what a bulk job selects: several ids or a filter."""
    is_filtered = everything or suspects or code is not None or instance is not None
    if bool(ids) == is_filtered:
        misuse("give IDs, or select letters with --code, --instance, --suspects or --all")
    if ids:
        known = [known_letter(services.redis, letter_id).id for letter_id in dict.fromkeys(ids)]
        return known if len(known) > 1 else known[0]
    check_filters(services.settings, services.redis, code=code, instance=instance)
    return LetterFilter(code=code, instance=instance, only_suspects=suspects)


def _print_chosen(services: "Services", chosen: "str | list[str] | LetterFilter", *, as_json: bool) -> None:
    if isinstance(chosen, LetterFilter):
        chosen = list(LetterPages(services.redis).ids(chosen))
    elif isinstance(chosen, str):
        chosen = [chosen]
    if as_json:
        print_json(Decision(letter_id=letter_id, outcome="chosen") for letter_id in chosen)
        return
    ids = ", ".join(map(plain, chosen[:NAMED])) + (", ..." if chosen[NAMED:] else "")
    console().print(f"{number(len(chosen))} letters: {ids or 'none is open'}")


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
