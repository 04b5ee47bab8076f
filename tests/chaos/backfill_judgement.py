"""Judges a backfill after kills: its report row by row, the final flags at Flinks, and the tally."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.backfill_command import Commands
from tests.chaos.backfill_rows import Drawn, Kind, expected, flags_expected
from tests.chaos.report import Report
from tests.chaos.scene import Scene
from worker.backfill.models import Backfill, RowOutcome

ENDS = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")


def judge_rows(
    scene: Scene,
    commands: Commands,
    found: Backfill,
    drawn: Sequence[Drawn],
    sent_at: Mapping[str, float],
    report: Report,
) -> None:
    """Compare the report, row by row, with the file, the events and the calls at Flinks."""
    wanted = expected(drawn, scene.emulator.calls(), sent_at)
    lines = commands.report(found.id)
    wrong: list[Any] = [
        (row.kind.value, line, sorted(outcomes))
        for row, line, outcomes in zip(drawn, lines, wanted, strict=False)
        if not _is_right(scene, row, line, outcomes)
    ]
    report.expect(len(lines) == len(drawn), f"{len(lines)} lines for {len(drawn)} rows")
    report.expect(not wrong, f"{len(wrong)} rows have a wrong outcome, such as {wrong[:3]}")
    told = Counter(line["outcome"] for line in lines)
    report.figures["rows"] = dict(told)
    counts = {name: count for name, count in scene.services.backfills.get(found.id).counts.items() if count}
    report.expect(counts == dict(told), f"the counts {counts} are not those of the rows {dict(told)}")
    needed = set(RowOutcome) - {RowOutcome.CANCELLED, RowOutcome.WAITING}
    report.expect(needed <= set(told), f"no row became {needed - set(told)}")
    raced = [outcomes for row, outcomes in zip(drawn, wanted, strict=True) if row.kind is Kind.RACING]
    either = sum(len(outcomes) > 1 for outcomes in raced)
    report.figures["rows contradicted while it drained"] = f"{len(raced)}, {either} of them with two possible outcomes"
    report.expect(either < len(raced), "every contradicted row has two possible outcomes")


def judge_second_start(commands: Commands, report: Report) -> None:
    """The same file is refused a second time and leaves nothing behind."""
    code, words = commands.start()
    report.expect(code == 1 and "the same rows" in words, f"a second start ended with {code}: {words}")
    report.expect(len(commands.found()) == 1, f"there are {len(commands.found())} backfills of one file")


def _is_right(scene: Scene, row: Drawn, line: dict[str, Any], outcomes: frozenset[str]) -> bool:
    reference = scene.reference(row.login) if row.login else None
    has_code = line["outcome"] in {"invalid", "dead"}
    return (
        line["line"] == row.line
        and line["reference"] == reference
        and line["account_id"] == row.account
        and line["outcome"] in outcomes
        and bool(line["ended_at"])
        and (line["code"] == "INVALID_LOGIN" if line["outcome"] == "dead" else bool(line["code"]) == has_code)
    )


def judge_ledger(scene: Scene, drawn: Sequence[Drawn], calls_before: int, report: Report) -> None:
    """Flinks has the newest wishes, no needless call was made, and the tally adds up."""
    flags = flags_of(scene)
    wrong = sum(flags.get(login) is not wish for login, wish in flags_expected(drawn).items())
    report.expect(not wrong, f"Flinks has the wrong state for {wrong} logins")
    quiet = {row.login for row in drawn if row.kind in {Kind.ALREADY, Kind.NEWER}}
    needless = [call for call in scene.emulator.calls()[calls_before:] if call.login_id in quiet]
    report.expect(not needless, f"{len(needless)} calls for logins that needed none")
    tally = {name.decode(): int(value) for name, value in scene.redis.hgetall("nightly:tally:toolbox").items()}
    report.figures["tally"] = {name: tally.get(name, 0) for name in ("recorded", *ENDS)}
    ended = sum(tally.get(name, 0) for name in ENDS)
    report.expect(tally["recorded"] + tally.get("replayed", 0) == ended, f"promise 5: {tally}")


def flags_of(scene: Scene) -> dict[str, bool]:
    """Return the flags of the emulated Flinks, by loginId."""
    state = scene.emulator.state()
    return {login: flag.is_activated for logins in state.values() for login, flag in logins.items()}
