"""`nightly backfill start`: loads the rows of a file or of the ledger into a backfill, or makes a dry run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from worker.backfill.file_rows import Form, Source, open_rows
from worker.backfill.from_ledger import Condition, microseconds, selected
from worker.backfill.loader import Loading, Terms
from worker.backfill.models import Asks, Backfill
from worker.backfill.quiet_hours import QuietHours
from worker.backfill.store import FUTURE_US
from worker.cli.backfill.follow import follow, reason_of
from worker.cli.backfill.forecast import foresee, print_forecast
from worker.cli.backfill.screen import document, wish_words
from worker.cli.context import misuse, open_services, operator
from worker.cli.known import complete_instance, known_instance
from worker.cli.output import console, counted, number, plain, print_json, when
from worker.cli.shell import INTERRUPTED
from worker.errors import BackfillError, SameFile
from worker.services import Services

LEDGER_NAME = "the ledger"
LEDGER_FORM = Form("csv", "loginId,account_id", ",")


def start(
    file: Annotated[
        str | None, typer.Argument(help="CSV, NDJSON or one loginId a line, also gzipped; - is standard input.")
    ] = None,
    *,
    on: Annotated[bool, typer.Option("--on", help="Switch nightly refresh on.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Switch it off.")] = False,
    instance: Annotated[
        str | None, typer.Option(help="Flinks instance. [FLINKS_INSTANCE]", autocompletion=complete_instance)
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Time of the wishes, which newer events override. A day or RFC 3339. [now]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would do; write nothing.")] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(help="With --dry-run: file for the bad rows, to correct. It has loginIds; only you can read it."),
    ] = None,
    follows: Annotated[bool, typer.Option("--follow", help="Show progress until it ends.")] = False,
    rate: Annotated[float | None, typer.Option(help="Maximum rows a second.", min=0.001, max=100_000)] = None,
    quiet_hours: Annotated[str | None, typer.Option(help="Hand over no rows in these hours: HH:MM-HH:MM.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of --quiet-hours. [UTC]")] = None,
    again: Annotated[bool, typer.Option("--again", help="Load even if the same file was loaded before.")] = False,
    reassert: Annotated[
        bool, typer.Option("--reassert", help="Also call for logins that are already as wished.")
    ] = False,
    from_ledger: Annotated[
        bool, typer.Option("--from-ledger", help="Load logins from the ledger, not from a file.")
    ] = False,
    where: Annotated[
        list[str] | None, typer.Option(help='With --from-ledger, such as "applied<2026-11-01"; all must hold.')
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Load a whole file, then hand its rows over as fast as calls are made. Live events always go first.

    A backfill's wish has a time like an event, so it never overrides a newer event. --from-ledger without --on and
    --off asserts each login's own wish again. Run the same command again to resume a start that was killed.
    Exit code 1 if nothing was loaded; with --follow, also if rows were rejected.
    """
    _check(file, on=on, off=off, from_ledger=from_ledger, where=where, as_of=as_of)
    if rejects is not None and not dry_run:
        misuse("--rejects needs --dry-run; the bad rows of a backfill: nightly backfill report ID --rejects FILE")
    try:
        conditions = [Condition.read(text) for text in where or []]
        as_of_us = None if as_of is None else microseconds(as_of)
        QuietHours.read(quiet_hours or "", timezone or "")
    except BackfillError as error:
        misuse(str(error))
    services = open_services(to_change=not dry_run)
    terms = Terms(
        instance=known_instance(services.settings, services.redis, instance or services.settings.flinks_instance),
        wish=Asks.ON if on else Asks.OFF if off else Asks.AS_IS,
        reassert=reassert,
        as_of_us=as_of_us,
        by=operator(),
        rate=rate,
        quiet=quiet_hours or "",
        timezone=timezone or "",
        again=again,
        resumable=not from_ledger,
    )
    _carry_out(services, file, terms, conditions, dry_run=dry_run, rejects=rejects, follows=follows, as_json=as_json)


def _carry_out(
    services: Services,
    file: str | None,
    terms: Terms,
    where: list[Condition],
    *,
    dry_run: bool,
    rejects: Path | None,
    follows: bool,
    as_json: bool,
) -> None:
    now_us = services.backfills.now_ms() * 1000
    if (terms.as_of_us or 0) > now_us + FUTURE_US:
        misuse("--as-of is in the future: it would override the events until then")
    with _source(services, file, terms.instance, where) as source:
        if dry_run:
            with counted("rows read") as count:
                foreseen = foresee(services, source, terms, now_us=now_us, on_rows=count, rejects=rejects)
            print_forecast(foreseen, as_json=as_json)
            return
        backfill = _load(services, source, terms, now_us)
    _print_loaded(services, backfill, as_json=as_json)
    if follows:
        follow(services, backfill.id, as_json=as_json)


def _check(
    file: str | None, *, on: bool, off: bool, from_ledger: bool, where: list[str] | None, as_of: str | None
) -> None:
    if from_ledger == (file is not None):
        misuse("give either FILE (- is standard input) or --from-ledger")
    if where and not from_ledger:
        misuse("--where needs --from-ledger")
    if (on and off) or not (on or off or from_ledger):
        misuse("give either --on or --off")
    if as_of is not None and not (on or off):
        misuse("--as-of needs --on or --off: without them each login keeps its own time")


@contextmanager
def _source(services: Services, file: str | None, instance: str, where: list[Condition]) -> Iterator[Source]:
    if file is None:
        rows = selected(services.redis, services.vault, instance=instance, where=where)
        yield Source(LEDGER_NAME, LEDGER_FORM, rows)
    else:
        with open_rows(file, instance=instance) as source:
            yield source


def _load(services: Services, source: Source, terms: Terms, now_us: int) -> Backfill:
    with counted("rows loaded") as count:
        loading = Loading(services.backfills, services.vault, on_rows=count)
        try:
            return loading.load(source.rows, source.form, replace(terms, name=source.name), now_us=now_us)
        except SameFile as error:
            same = services.backfills.get(error.backfill_id)
            raise BackfillError(
                f"backfill {same.id} has the same rows and the same wish ({same.status.value}, started "
                f"{when(same.created_at)} UTC). Nothing was loaded; --again loads them again"
            ) from None
        except KeyboardInterrupt:
            typer.echo("Stopped while loading; no row is handed over. The same command resumes the load.", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _print_loaded(services: Services, backfill: Backfill, *, as_json: bool) -> None:
    reason = reason_of(services, backfill)
    if as_json:
        print_json([document(backfill, reason=reason)])
        return
    screen = console()
    screen.print(f"Backfill {backfill.id}: {number(backfill.rows)} rows of {plain(backfill.name)} are loaded.")
    screen.print(f"Wish: {plain(wish_words(backfill))}, on {plain(backfill.instance)}.", soft_wrap=True)
    if reason:
        screen.print(plain(reason), soft_wrap=True)
    screen.print(f"Show progress: nightly backfill show {backfill.id} --follow", soft_wrap=True)
