"""`race`: runs all contenders in turn, round by round, on the same backlog against the same stub; prints a report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import typer

from benchmarks import goals, report
from benchmarks.contender_list import ENTRIES, Entry
from benchmarks.earlier import earlier
from benchmarks.heat import Heat, Track
from benchmarks.stub import Stub
from sandbox.stack import OrphanGuard

_Any = TypeVar("_Any")


def race(
    only: Annotated[str, typer.Option(help="Names of contenders, or prefixes of names, comma-separated.")] = "",
    delays: Annotated[str, typer.Option(help="Delays of the stub in ms: 0, 50 or 200, comma-separated.")] = "0,50,200",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate duration of a heat.")] = 4,
    against: Annotated[
        str, typer.Option(help="A commit, whose Nightly and bare loop run too, in turn with ours.")
    ] = "",
) -> None:
    """Run the contenders side by side."""
    entries, delays_ms = chosen(only), [int(delay) for delay in delays.split(",")]
    twins = earlier(entries, against) if against else {}
    entries = [each for entry in entries for each in (entry, twins.get(entry.name)) if each]
    print(report.opening(entries, delays_ms, rounds=rounds, seconds=seconds), flush=True)
    heats = run_heats(entries, delays_ms, rounds=rounds, seconds=seconds)
    pairs = [(name, twin.name) for name, twin in twins.items()]
    _print_results(heats, delays_ms, [*pairs, (goals.NIGHTLY, goals.BARE)])


def _print_results(heats: Sequence[Heat], delays: Sequence[int], pairs: Sequence[tuple[str, str]]) -> None:
    for delay_ms in delays:
        print(f"\n### {delay_ms} ms\n\n{report.results([heat for heat in heats if heat.delay_ms == delay_ms])}")
    print(f"\n{report.HOW_TO_READ}")
    if rows := report.ratios(heats, pairs, delays):
        print(f"\n### Ratios, each within a round\n\n{rows}")
    if found := goals.judge(heats):
        print(f"\n### Goals\n\n{report.goals(found)}")


def run_heats(entries: Sequence[Entry], delays: Sequence[int], *, rounds: int, seconds: float) -> list[Heat]:
    """Run every entry at every delay in every round, and print each heat as it ends."""
    with TemporaryDirectory(prefix="nightly-race-") as folder, OrphanGuard() as guard, Stub(Path(folder)) as stub:
        track = Track(Path(folder), stub, guard)
        return [
            _printed(track.run(entry, delay_ms, seconds=seconds))
            for number in range(rounds)
            for delay_ms in delays
            for entry in rotated(entries, number)
        ]


def chosen(only: str) -> list[Entry]:
    """Return the entries with these names or prefixes of names; all if `only` is empty."""
    wanted = [part.strip() for part in only.split(",") if part.strip()]
    names = {entry.name for entry in ENTRIES}
    beginnings = tuple(part for part in wanted if part not in names)
    return [entry for entry in ENTRIES if not wanted or entry.name in wanted or entry.name.startswith(beginnings)]


def rotated(entries: Sequence[_Any], by: int) -> list[_Any]:
    """Rotate the entries each round, so that their order differs between rounds."""
    cut = by % len(entries) if entries else 0
    return [*entries[cut:], *entries[:cut]]


def _printed(heat: Heat) -> Heat:
    ending = heat.ending or "done"
    print(
        f"{heat.entry:44} {heat.delay_ms:3} ms  {heat.tally.rate:7.0f}/s (middle {heat.tally.middle_rate:7.0f}/s)  "
        f"cpu us a call: {heat.cpu_us(heat.worker_cpu):.0f} + {heat.cpu_us(heat.redis_cpu):.0f}  "
        f"{heat.peak_mib:.0f} MiB  in hand {heat.most_in_hand}  "
        f"missing {heat.tally.missing} twice {heat.tally.twice} wrong {heat.tally.wrong}  {ending}",
        file=sys.stderr,
        flush=True,
    )
    return heat
