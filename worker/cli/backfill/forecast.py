"""`nightly backfill start --dry-run`: prints what a start would do and how long its calls take. Writes nothing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from worker.backfill.file_rows import Source
from worker.backfill.forecast import DryRun, Forecast
from worker.backfill.loader import Terms
from worker.backfill.report import PRIVATE, Rejects, written_whole
from worker.cli.backfill.screen import print_rejects
from worker.cli.output import console, number, pairs, print_json, span, when
from worker.operations import job_documents
from worker.services import Services


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A forecast, the time of its wishes in microseconds, and the expected calls a second."""

    forecast: Forecast
    as_of_us: int
    calls_per_second: float


def foresee(
    services: Services,
    source: Source,
    terms: Terms,
    *,
    now_us: int,
    on_rows: Callable[[int], None],
    rejects: Path | None = None,
) -> Foreseen:
    """Return the forecast for all rows, and write the rejected ones; raises whatever reading the rows raises."""
    as_of_us = now_us if terms.as_of_us is None else terms.as_of_us
    run = DryRun(
        services.redis,
        services.vault,
        instance=terms.instance,
        wish=terms.wish,
        as_of_us=as_of_us,
        reassert=terms.reassert,
    )
    if rejects is None:
        forecast = run.foresee(source.rows, on_rows=on_rows)
    else:
        with written_whole(rejects, mode=PRIVATE) as stream:
            writer = Rejects(stream, source.form)
            forecast = run.foresee(source.rows, on_rows=on_rows, on_rejected=writer.add)
        print_rejects(writer.count, rejects)
    return Foreseen(forecast, as_of_us, _pace(services, terms))


def print_forecast(foreseen: Foreseen, *, as_json: bool) -> None:
    """Print a forecast; exit code 1 if a row is invalid, or there is no row."""
    forecast, pace = foreseen.forecast, foreseen.calls_per_second
    if as_json:
        seconds = round(forecast.hours(pace) * 3600, 3)
        about = {"calls_per_second": pace, "calls_seconds": seconds, "as_of_us": foreseen.as_of_us}
        print_json([job_documents.Forecast.of(asdict(forecast), **about)])
    else:
        screen = console()
        screen.print(f"Dry run: nothing was written. As of {when(foreseen.as_of_us / 1000)} UTC:")
        screen.print(pairs(_lines(forecast, pace)))
    if forecast.invalid or not forecast.rows:
        raise typer.Exit(1)


def _lines(forecast: Forecast, pace: float) -> list[tuple[str, object]]:
    first = f"; the first: {forecast.first_problem}" if forecast.invalid else ""
    return [
        ("rows", number(forecast.rows)),
        ("calls needed", f"{number(forecast.calls)}: {span(forecast.hours(pace) * 3600)} at {pace:g} calls/s"),
        ("already as wished", number(forecast.already)),
        ("newer wish exists", number(forecast.superseded)),
        ("dead letters", number(forecast.dead)),
        ("duplicates", number(forecast.duplicates)),
        ("invalid", f"{number(forecast.invalid)}{first}"),
    ]


def _pace(services: Services, terms: Terms) -> float:
    """Return the current rate limit in calls a second, or the backfill's own rate if that is lower."""
    about = services.views.status()["instances"].get(terms.instance, {})
    current: float = about.get("rate_per_second") or services.settings.flinks_calls_per_second
    return min(current, terms.rate) if terms.rate else current
