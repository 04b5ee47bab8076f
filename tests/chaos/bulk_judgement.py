"""Judges a bulk replay: each letter of the list in the report once, with the outcome that its fate allows."""

from collections import Counter
from collections.abc import Mapping

from tests.chaos.backfill_judgement import ENDS, flags_of
from tests.chaos.bulk_letters import Drawn
from tests.chaos.bulk_mischief import CARL, Mischief
from tests.chaos.report import Report
from tests.chaos.scene import INSTANCE, Scene
from worker.backfill.job_models import LetterResult
from worker.ledger.audit import AuditLog
from worker.ledger.dead_letters import Letter
from worker.operations.bulk import BulkJobs

ALLOWED: Mapping[str, frozenset[str]] = {
    "": frozenset({"applied"}),
    "stays unknown": frozenset({"dead"}),
    "newer event": frozenset({"applied", "superseded"}),
    "closed by hand": frozenset({"applied"}),
}
"""By the fate of a login; a letter that another person closed is `closed`."""
STATUS: Mapping[str, frozenset[str]] = {
    "applied": frozenset({"replayed"}),
    "dead": frozenset({"replayed"}),
    "accepted": frozenset({"replayed"}),
    "superseded": frozenset({"replayed", "superseded"}),
    "closed": frozenset({"resolved"}),
    "invalid": frozenset({"open"}),
}
"""The statuses of a letter that each outcome allows."""


def judge_bulk(scene: Scene, job_id: str, drawn: Drawn, mischief: Mischief, report: Report) -> None:
    """Compare the report with what happened, letter by letter, and add up the tally."""
    jobs = BulkJobs(scene.redis, calls_per_second=5)
    results = list(jobs.report(job_id))
    letters = {one.letter: scene.services.letters.get(one.letter) for one in results}
    told = Counter(one.outcome.value for one in results)
    report.figures["letters"] = dict(told)
    report.expect(len(results) == len(letters), "a letter is in the report twice")
    report.expect(letters.keys() == drawn.ids, "the report has other letters than those open at the preflight")
    counts = {name: count for name, count in jobs.get(job_id).counts.items() if count}
    report.expect(counts == dict(told), f"the counts {counts} are not those of the letters")
    fates = {scene.reference(login): fate for login, fate in drawn.fates.items()}
    wrong = [one for one in results if not _is_right(one, letters[one.letter], fates)]
    report.expect(not wrong, f"{len(wrong)} letters have a wrong outcome, such as {wrong[:3]}")
    closed = {letter.id for letter in letters.values() if letter.closed_by == CARL.name}
    report.figures["closed by hand before the job came to them"] = f"{len(closed)} of {len(mischief.by_hand)} tried"
    report.expect(closed == {one.letter for one in results if one.outcome == "closed"}, "others are told as closed")
    needed = {"applied", "dead", "superseded", "closed", "accepted", "invalid"}
    report.expect(needed <= told.keys(), f"no letter became {needed - told.keys()}")
    _judge_ledger(scene, drawn, letters, told, report)
    _judge_flags(scene, drawn, closed, letters, report)


def _is_right(one: LetterResult, letter: Letter, fates: Mapping[str, str]) -> bool:
    outcome = one.outcome.value
    if letter.status not in STATUS.get(outcome, ()):
        return False
    if letter.kind == "message":
        return outcome == ("accepted" if "in the future" in letter.reason else "invalid")
    if letter.closed_by == CARL.name:
        return outcome == "closed" and one.closed_by == CARL.name
    return outcome in ALLOWED[fates[letter.login]] and (outcome != "dead" or one.code == "INVALID_LOGIN")


def _judge_ledger(
    scene: Scene, drawn: Drawn, letters: Mapping[str, Letter], told: Counter[str], report: Report
) -> None:
    tally = {name.decode(): int(value) for name, value in scene.redis.hgetall(f"nightly:tally:{INSTANCE}").items()}
    report.figures["tally"] = {name: tally.get(name, 0) for name in ("recorded", "replayed", *ENDS)}
    ended = sum(tally.get(name, 0) for name in ENDS)
    report.expect(tally["recorded"] + tally["replayed"] == ended, f"promise 5: {tally}")
    replayed = sum(letter.status == "replayed" and letter.kind == "login" for letter in letters.values())
    report.expect(tally["replayed"] == replayed, f"{tally['replayed']} replays of {replayed} letters: not each once")
    open_ids = {raw.decode() for raw in scene.redis.zrange("nightly:letters:open", 0, -1)}
    new = len(open_ids - drawn.ids)
    report.figures["letters that arrived meanwhile"] = len(drawn.late)
    wanted = len(drawn.late) + told["dead"]
    report.expect(new == wanted, f"{new} letters are new, not the {wanted} that arrived or were dead again")
    audit = AuditLog(scene.redis)
    starts = [entry for entry in audit.entries(limit=100_000) if entry.action == "bulk.run"]
    report.expect(len(starts) == 1, f"{len(starts)} starts are in the audit log")
    report.expect(audit.verify().broken_at is None, f"the audit log is broken: {audit.verify()}")


def _judge_flags(scene: Scene, drawn: Drawn, closed: set[str], letters: Mapping[str, Letter], report: Report) -> None:
    by_hand = {letters[letter_id].login for letter_id in closed}
    flags = flags_of(scene)
    wrong = []
    for login, fate in drawn.fates.items():
        is_on = fate not in {"newer event", "stays unknown"} and scene.reference(login) not in by_hand
        if flags.get(login, False) is not is_on:
            wrong.append((fate, flags.get(login)))
    report.expect(not wrong, f"Flinks has the wrong state for {len(wrong)} logins: {wrong[:3]}")
