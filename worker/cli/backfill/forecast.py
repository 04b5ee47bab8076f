"""`nightly backfill start --dry-run`: what it would do, and how long that takes. Nothing is written to Redis."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import typer

from worker.backfill.forecast import DryRun, Forecast
from worker.backfill.loader import Terms
from worker.backfill.models import Row
from worker.cli.output import console, number, pairs, print_json, span, when
from worker.services import Services


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A forecast, the time it is made for (us), and how many calls a second there will be."""

    forecast: Forecast
    as_of_us: int
    calls_per_second: float


def foresee(
    services: Services, rows: Iterable[Row], terms: Terms, *, now_us: int, on_rows: Callable[[int], None]
) -> Foreseen:
    """Go through all rows; raises what reading them raises."""
    as_of_us = now_us if terms.as_of_us is None else terms.as_of_us
    run = DryRun(
        services.redis,
        services.vault,
        instance=terms.instance,
        wish=terms.wish,
        as_of_us=as_of_us,
        reassert=terms.reassert,
    )
    return Foreseen(run.foresee(rows, on_rows=on_rows), as_of_us, _pace(services, terms))


def tell(found: Foreseen, *, as_json: bool) -> None:
    """Print it; exit code 1 where rows are invalid, or there is none."""
    forecast, pace = found.forecast, found.calls_per_second
    if as_json:
        about = {"calls_per_second": pace, "hours": forecast.hours(pace), "as_of_us": found.as_of_us}
        print_json([asdict(forecast) | about])
    else:
        screen = console()
        screen.print(f"Nothing was written. As of {when(found.as_of_us / 1000)} UTC:")
        screen.print(pairs(_lines(forecast, pace)))
    if forecast.invalid or not forecast.rows:
        raise typer.Exit(1)


def _lines(forecast: Forecast, pace: float) -> list[tuple[str, object]]:
    first = f"; the first: {forecast.first_problem}" if forecast.invalid else ""
    return [
        ("rows", number(forecast.rows)),
        ("calls needed", f"{number(forecast.calls)}: {span(forecast.hours(pace) * 3600)} at {pace:g} calls/s"),
        ("as wished already", number(forecast.already)),
        ("newer wish known", number(forecast.superseded)),
        ("dead letters", number(forecast.dead)),
        ("duplicates", number(forecast.duplicates)),
        ("invalid", f"{number(forecast.invalid)}{first}"),
    ]


def _pace(services: Services, terms: Terms) -> float:
    """Return the present rate, calls/s, or less where the backfill asks for less."""
    about = services.views.status()["instances"].get(terms.instance, {})
    present: float = about.get("rate_per_second") or services.settings.flinks_calls_per_second
    return min(present, terms.rate) if terms.rate else present
