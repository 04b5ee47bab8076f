"""A wrong customer id costs only a few dead letters, and one command replays them."""

import time
from pathlib import Path
from random import Random

from tests.chaos.backlog import INSTANCE, Backlog, a_backlog
from tests.chaos.report import Report, Say
from tests.leaks import output_of
from tests.ledger_calls import list_letters
from tests.sentry_ingest import SentryIngest

WRONG = "00000000-0000-4000-8000-00000badc0de"
MOST_LETTERS = 100


def wrong_customer(
    folder: Path,
    *,
    logins: int = 10_000,
    calls_per_second: int = 1000,
    quiet_seconds: float = 5,
    workers: int = 2,
    seed: int,
    say: Say,
) -> Report:
    """Run workers with a wrong customer id on `logins` due ones; then with the right one, and replay the suspects.

    For `quiet_seconds` after it has closed, the gate must hold everything back.
    """
    sizes = {"logins": logins, "calls_per_second": calls_per_second, "quiet_seconds": quiet_seconds}
    report = Report("A wrong customer id", sizes | {"workers": workers, "seed": seed})
    settings = {"FLINKS_CALLS_PER_SECOND": str(calls_per_second)}
    with SentryIngest() as sentry, a_backlog(folder, settings | {"SENTRY_DSN": sentry.dsn}, Random(seed)) as backlog:
        due = backlog.link(logins)
        right = backlog.stack.environment.get("FLINKS_CUSTOMER_ID")
        backlog.stack.environment["FLINKS_CUSTOMER_ID"] = WRONG
        backlog.start_workers(workers)
        backlog.waits_for(lambda: backlog.tally("recorded") == logins, 120, say, "intake")
        report.expect(backlog.waits_for(lambda: backlog.gate()["state"] == "closed", 60, say, "the gate"), "gate open")
        time.sleep(quiet_seconds)  # whether the gate holds everything back is under test
        _judge_storm(backlog, sentry, report)
        backlog.stop_workers()
        say("restarting the workers with the right customer id")
        backlog.stack.environment.pop("FLINKS_CUSTOMER_ID")
        if right is not None:
            backlog.stack.environment["FLINKS_CUSTOMER_ID"] = right
        backlog.start_workers(workers)
        _mend(backlog, logins, report, say)
        report.expect(backlog.flags() == dict.fromkeys(due, True), "Flinks does not have every login on")
    return report


def _judge_storm(backlog: Backlog, sentry: SentryIngest, report: Report) -> None:
    letters = list_letters(backlog.services.letters)
    calls = backlog.emulator.stats().load.calls
    report.figures["calls with the wrong id"] = calls
    report.figures["dead letters"] = len(letters)
    report.expect(0 < len(letters) < MOST_LETTERS, f"{len(letters)} dead letters")
    report.expect(all(letter.suspect for letter in letters), "a dead letter of the storm is not marked")
    report.figures["gate"] = f"{backlog.gate()['state']}: {backlog.gate()['cause']}, {backlog.gate()['detail']}"
    report.expect(backlog.gate()["cause"] == "storm", "the gate is not closed by the storm")
    told = [(event["level"], event.get("tags", {}).get("cause")) for event in sentry.events()]
    report.figures["reported to Sentry"] = told
    report.expect(told == [("fatal", "storm")], "the storm was not reported to Sentry exactly once")


def _mend(backlog: Backlog, logins: int, report: Report, say: Say) -> None:
    at_most = 120 + 2 * logins / 100
    left = int(str(report.figures["dead letters"]))
    is_done = backlog.waits_for(lambda: backlog.tally("applied_on") >= logins - left, at_most, say, "the backlog")
    report.expect(is_done, "the backlog was not applied with the right id")
    command = ["dead-letters", "replay", "--suspects", "--yes"]
    output = output_of(command, environment=backlog.stack.environment, folder=backlog.stack.folder).decode()
    report.figures["nightly dead-letters replay --suspects"] = output.strip().splitlines()[-1]
    is_done = backlog.waits_for(lambda: backlog.tally("applied_on") == logins, 60, say, "the suspects")
    report.expect(is_done, "the suspects were not applied")
    report.figures["open letters in the end"] = len(list_letters(backlog.services.letters))
    report.expect(not list_letters(backlog.services.letters), "dead letters are left open")
    changes = backlog.services.views.gate_changes(INSTANCE)
    report.figures["gate in all"] = [f"{change['state']}: {change['cause']}" for change in changes]
