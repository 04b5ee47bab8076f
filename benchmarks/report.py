"""Prints a race as Markdown: contenders, settings, results, and whether the goals are met."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from benchmarks import machine
from benchmarks.contender_list import Entry
from benchmarks.figures import Spread
from benchmarks.goals import Goal, all_cpu, of, rate, ratio_of, worker_cpu
from benchmarks.heat import Heat

HOW_TO_READ = """\
Each heat has a fresh Redis. The contender's own producer publishes the backlog first, each login once; then the workers
start. Events/s: the rate of calls at the stub, from the arrival of the first to the answer of the last. It excludes the
start and what a contender reads ahead before its first call; the CPU figures include the reading. "Middle": the rate of
arrivals without the first and last twentieth. Backlogs differ in length so that all heats take about the same time:
compare rates, never totals. CPU: user and system microseconds for each call that was made, from the workers' start
until half a second after the last answer, less the CPU of one start of the same workers with nothing to do. Parents:
the processes that the race started, without their children; Nightly's parent process does the intake. Memory: the peak
PSS of all worker processes together, and of the largest. In hand: the maximum number of calls that waited for an answer
at once at the stub (at 0 ms it answers one call before it reads the next). Each figure: median (minimum to maximum) of
the rounds."""


def opening(entries: Sequence[Entry], delays: Sequence[int], *, rounds: int, seconds: float) -> str:
    """Return the facts before a race: the machine, the versions, and each contender's settings."""
    facts = [
        *machine.facts(),
        *(f"{', '.join(names)}: {machine.versions(python)}" for python, names in _by_environment(entries).items()),
        f"{rounds} rounds, interleaved, in another order each; about {seconds:g} s a heat",
    ]
    rows = [
        [entry.name, entry.settings, " / ".join(str(entry.most_in_flight(delay)) for delay in delays)]
        for entry in entries
    ]
    limits = " / ".join(f"{delay} ms" for delay in delays)
    settings = table(["contender", "settings", f"calls in flight at most, {limits}"], rows)
    return "\n".join(f"- {fact}" for fact in facts) + f"\n\n{settings}"


def _by_environment(entries: Sequence[Entry]) -> Mapping[Path, list[str]]:
    found: dict[Path, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.python, []).append(entry.name)
    return found


def results(heats: Sequence[Heat]) -> str:
    """Return a table of all contenders at one delay."""
    by_entry: dict[str, list[Heat]] = {}
    for heat in heats:
        by_entry.setdefault(heat.entry, []).append(heat)
    head = [
        "contender",
        "events",
        "events/s",
        "middle events/s",
        "CPU us a call: workers",
        "of it parents",
        "Redis",
        "stub",
    ]
    head += ["peak MiB", "largest process", "in hand", "each login once"]
    return table(head, [[name, *_figures(done)] for name, done in by_entry.items()])


def goals(found: Sequence[Goal]) -> str:
    """Return the table of goals."""
    rows = [
        [goal.name, goal.wanted, _spread(goal.measured, 2), "met" if goal.is_met else "**not met**"] for goal in found
    ]
    return table(["goal", "wanted", "measured, round by round", ""], rows)


def ratios(heats: Sequence[Heat], pairs: Iterable[tuple[str, str]], delays: Iterable[int]) -> str:
    """Return a table that compares two contenders a row, by name; "" if no pair took part.

    Each ratio is computed within a round.
    """
    rows = []
    for delay_ms, (ours, theirs) in product(delays, pairs):
        both = of(heats, ours, delay_ms), of(heats, theirs, delay_ms)
        found = [_spread(ratio, 2) for figure in (rate, worker_cpu, all_cpu) if (ratio := ratio_of(*both, figure))]
        if found:
            rows.append([f"{delay_ms} ms: {ours} to {theirs}", *found])
    head = ["ratio", "events/s", "workers' CPU a call", "workers' and Redis' CPU a call"]
    return table(head, rows) if rows else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _figures(heats: Sequence[Heat]) -> list[str]:
    def cpu(seconds: Callable[[Heat], float]) -> str:
        return _spread(Spread.of([heat.cpu_us(seconds(heat)) for heat in heats]), 0)

    return [
        str(heats[0].events),
        _spread(Spread.of([heat.tally.rate for heat in heats]), 0),
        _spread(Spread.of([heat.tally.middle_rate for heat in heats]), 0),
        cpu(lambda heat: heat.worker_cpu),
        cpu(lambda heat: heat.parent_cpu),
        cpu(lambda heat: heat.redis_cpu),
        cpu(lambda heat: heat.stub_cpu),
        f"{max(heat.peak_mib for heat in heats):.0f}",
        f"{max(heat.peak_process_mib for heat in heats):.0f}",
        str(max(heat.most_in_hand for heat in heats)),
        _verdict(heats),
    ]


def _verdict(heats: Sequence[Heat]) -> str:
    failures: Mapping[str, int] = {
        "missing": sum(heat.tally.missing for heat in heats),
        "twice": sum(heat.tally.twice for heat in heats),
        "wrong": sum(heat.tally.wrong for heat in heats),
    }
    found = [f"{count} {what}" for what, count in failures.items() if count]
    found += [heat.ending.splitlines()[0] for heat in heats if heat.ending]
    return "; ".join(found) or "yes"


def _spread(spread: Spread, digits: int) -> str:
    def show(value: float) -> str:
        return f"{value:,.{digits}f}"

    if spread.least == spread.most:
        return show(spread.median)
    return f"{show(spread.median)} ({show(spread.least)} to {show(spread.most)})"
