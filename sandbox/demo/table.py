"""Renders the result of the demo: the outcome table, the two checks, and the next commands to try."""

from rich.console import Group, RenderableType
from rich.text import Text

from sandbox.demo.outcome import NAMED, Outcome
from worker.cli.output import BAD, DIM, GOOD, NAME, number, pairs, plain
from worker.cli.shell import typed

_TALLIED = ("applied_on", "applied_off", "superseded", "duplicate", "retried", "throttled", "ambiguous")
_MEANING = {
    "applied_on": "nightly refresh switched on",
    "applied_off": "nightly refresh switched off",
    "superseded": "replaced by a newer event of the same login",
    "duplicate": "the same event, delivered again",
    "retried": "failed calls, made again after a backoff",
    "throttled": "calls refused as too many; the rate was lowered",
    "ambiguous": "calls without an answer, made again after a pause",
}


def picture(outcome: Outcome) -> RenderableType:
    """Return the whole result."""
    parts: list[RenderableType] = ["", Text("Outcome", NAME), pairs(_rows(outcome)), ""]
    parts += [_conservation(outcome), *_comparison(outcome)]
    if outcome.still_open:
        left = ", ".join(f"{name} {number(count)}" for name, count in outcome.still_open.items())
        parts.append(Text(f"Time is up, and this is still open: {left}.", BAD))
    return Group(*parts, *(_next_steps() if outcome.is_right else ()))


def _rows(outcome: Outcome) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [
        (name.replace("_", " "), _counted(outcome.tally.get(name, 0), _MEANING[name])) for name in _TALLIED
    ]
    groups = {"dead-lettered": outcome.dead_lettered, "rejected": outcome.rejected}
    for name, by_code in groups.items():
        codes = ", ".join(f"{plain(code)} {number(count)}" for code, count in sorted(by_code.items()))
        rows.append((name, _counted(sum(by_code.values()), codes)))
    rows.append(("calls made", _counted(outcome.calls, "counted by the emulated Flinks")))
    speed = f"in {outcome.seconds:.1f} s, at the pace of the demo, faults included"
    return [*rows, ("events/s", _counted(round(outcome.events_per_second), speed))]


def _counted(count: int, meaning: str) -> Text:
    return Text.assemble(f"{number(count):>6}  ", (meaning, DIM))


def _conservation(outcome: Outcome) -> Text:
    sums = f"{number(outcome.published)} events published, {number(outcome.ended)} ended"
    if outcome.is_accounted_for:
        return Text(f"{sums}: every event is accounted for", GOOD)
    return Text(f"{sums}: NOT every event is accounted for", BAD)


def _comparison(outcome: Outcome) -> list[Text]:
    equal = outcome.logins - len(outcome.differing)
    sums = f"{number(equal)} of {number(outcome.logins)} logins at Flinks match their newest event"
    if not outcome.differing:
        return [Text(f"{sums}", GOOD)]
    more = len(outcome.differing) - NAMED
    lines = [Text(f"{sums}; these are not:", BAD)]
    lines += [Text(f"  {reference}") for reference in outcome.differing[:NAMED]]
    return [*lines, Text(f"  and {number(more)} more; --json lists all")] if more > 0 else lines


def _next_steps() -> list[RenderableType]:
    steps: list[tuple[str, object]] = [
        ("make run", "the same parts, running for your own events"),
        (f"{typed('nightly')} --help", "every command"),
        ("README.md", "how it works, and how to run it for real"),
    ]
    return ["", Text("Next", NAME), pairs(steps)]
