"""An outage of Flinks costs few calls and no attempt, and calls resume gradually."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.backlog import INSTANCE, Backlog, a_backlog, per_second
from tests.chaos.report import Report, Say
from tests.ledger_calls import list_letters
from tests.sentry_ingest import SentryIngest
from worker.ledger.login_fields import stored_names

MOST_CALLS_A_MINUTE = 100
GROWTH = 1.1
"""Limit of the workers' memory at the end of the outage, relative to its start."""
MINUTE = 60.0


@dataclass
class Outage:
    """Observations; times are seconds since 1970."""

    began_at: float
    ended_at: float = 0.0
    memory_mib: list[float] = field(default_factory=list)


def outage(
    folder: Path,
    *,
    logins: int = 50_000,
    seconds: float = 240,
    calls_per_second: int = 1000,
    mode: str = "503",
    workers: int = 2,
    seed: int,
    say: Say,
) -> Report:
    """Take Flinks down (`mode`: 503, refuse or hang) with `logins` due, for a number of seconds, then bring it back."""
    sizes = {
        "logins": logins,
        "seconds": seconds,
        "calls_per_second": calls_per_second,
        "mode": mode,
        "workers": workers,
        "seed": seed,
    }
    report = Report("An outage of Flinks", sizes)
    settings = {"FLINKS_CALLS_PER_SECOND": str(calls_per_second), "FLINKS_TIMEOUT_SECONDS": "2"}
    with SentryIngest() as sentry, a_backlog(folder, settings | {"SENTRY_DSN": sentry.dsn}, Random(seed)) as backlog:
        proven = backlog.link(1)
        backlog.start_workers(workers)
        report.expect(backlog.waits_for(lambda: backlog.tally("applied_on"), 60, say, "the first call"), "no call")
        backlog.emulator.faults(_fault(mode))
        seen = Outage(time.time())
        due = backlog.link(logins)
        say(f"{logins:,} logins are due, and Flinks is down ({mode})")
        _live_through(backlog, seen, logins + 1, seconds, say)
        _judge_outage(backlog, seen, logins, report)
        backlog.emulator.faults()
        seen.ended_at = time.time()
        say("Flinks is back")
        at_most = 120 + 2 * logins / calls_per_second
        is_done = backlog.waits_for(lambda: backlog.tally("applied_on") > logins, at_most, say, "all to be applied")
        report.expect(is_done, "not every wish was applied after the outage")
        _judge_return(backlog, seen, calls_per_second, report)
        report.expect(backlog.flags() == dict.fromkeys([*proven, *due], True), "Flinks does not have every login on")
        causes = [event.get("tags", {}).get("cause") for event in sentry.events()]
        report.figures["reported to Sentry"] = causes
        report.expect(
            causes == ["outage", "Flinks answers again"], "each change was not reported to Sentry exactly once"
        )
    return report


def _fault(mode: str) -> dict[str, object]:
    if mode == "hang":
        return {"knob": "commit_then_timeout", "commits": False}
    return {"knob": "outage", "mode": mode}


def _live_through(backlog: Backlog, seen: Outage, recorded: int, seconds: float, say: Say) -> None:
    ends_at = time.monotonic() + seconds
    backlog.waits_for(lambda: backlog.tally("recorded") >= recorded, seconds, say, "intake")
    while time.monotonic() < ends_at:
        seen.memory_mib.append(backlog.memory_mib())
        time.sleep(1)  # the length of the outage is under test


def _judge_outage(backlog: Backlog, seen: Outage, logins: int, report: Report) -> None:
    calls = [call.started_at for call in backlog.emulator.calls() if call.started_at >= seen.began_at]
    busiest = max((sum(at <= other < at + MINUTE for other in calls) for at in calls), default=0)
    report.figures["logins recorded while Flinks was down"] = f"{backlog.tally('recorded') - 1:,}"
    report.expect(backlog.tally("recorded") == logins + 1, "intake stopped in the outage")
    report.figures["calls in the outage"] = f"{len(calls)}, at most {busiest} in any minute"
    report.expect(calls, "no trial call was made in the outage")
    report.expect(busiest < MOST_CALLS_A_MINUTE, f"{busiest} calls in a minute")
    report.expect(backlog.gate()["cause"] == "outage", "the gate is not closed by the outage")
    memory = seen.memory_mib
    report.figures["memory of the workers, MiB"] = f"{memory[0]:.0f} at the start, {max(memory):.0f} at most"
    report.expect(max(memory) <= GROWTH * memory[0], "the workers' memory grew")
    report.figures["attempts still charged"] = _charged(backlog)
    report.expect(not _charged(backlog), "attempts were charged for the outage")


def _charged(backlog: Backlog) -> int:
    """Count logins with a charged attempt that their next claim will not refund."""
    outage_from = int(backlog.redis.hget(f"nightly:gate:{INSTANCE}", "outage_from") or 0)
    pipeline = backlog.redis.pipeline(transaction=False)
    for key in backlog.redis.scan_iter("nightly:login:*", count=5000):
        pipeline.hmget(key, stored_names(("failures", "failures_while_down", "first_failure")))
    rows = [(int(failures or 0), _in_a_row(text, first)) for failures, text, first in pipeline.execute()]
    return sum(failures > count or 0 < first < outage_from for failures, (first, count) in rows)


def _in_a_row(text: bytes | None, first_failure: bytes | None) -> tuple[int, int]:
    """Return the time (ms) of the first of a login's failures in a row and their number, as outage.lua writes them."""
    parts = [int(part) for part in (text or b"0:0:0").split(b":")]
    return (parts[0] if len(parts) == 3 else int(first_failure or 0)), parts[-1]


def _judge_return(backlog: Backlog, seen: Outage, ceiling: int, report: Report) -> None:
    changes = backlog.services.views.gate_changes(INSTANCE)
    opened_at = changes[-1]["at"] / 1000
    report.figures["gate"] = [f"{change['state']}: {change['cause']}" for change in changes]
    report.figures["opened after Flinks was back"] = f"{opened_at - seen.ended_at:.1f} s"
    by_second = per_second(backlog.emulator.calls(), opened_at)
    shown = {second: by_second[second] for second in (0, 1, 2, 5, 10, 15, 20, 25)}
    report.figures["calls in the seconds after that"] = shown
    report.expect(by_second[0] <= 0.1 * ceiling, "too many calls in the first second after the outage")
    report.expect(max(by_second.values()) <= 1.05 * ceiling, "more calls in a second than the ceiling")
    report.figures["retries exhausted"] = len(list_letters(backlog.services.letters))
    report.expect(not list_letters(backlog.services.letters), "a login was dead-lettered for the outage")
