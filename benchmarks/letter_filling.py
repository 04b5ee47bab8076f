"""Fills a ledger with dead letters through intake and settlement, and with what else the review page shows."""

import json
import random

from benchmarks.filling import at_leisure, fill, work_off
from benchmarks.system import INSTANCE, System
from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Message
from worker.ledger.audit import Actor, Deed
from worker.ledger.letter_changes import Act, LetterChanges

CODES = ("DISABLED_LOGIN", "INVALID_PASSWORD", "LOCKED_LOGIN", "UNKNOWN_NEW_CODE", "SESSION_TERMINATED")
MESSAGES, ENTRIES, OWNED = 200, 300, 20
MINUTE_MS, DAY_MINUTES = 60_000, 1440
OWNER = "ann"
ANN = Actor(OWNER, "operator", "page", "10.0.0.7")


def fill_letters(system: System, letters: int) -> float:
    """File `letters` dead letters of as many logins, in as many groups as there are CODES; returns the seconds."""
    at_leisure(system, 1)  # without a confirmed call, an unproven configuration gets one call at a time
    seconds = fill(system, letters)
    for number, code in enumerate(CODES):
        share = letters // len(CODES) + (number < letters % len(CODES))
        text = "The login cannot be refreshed: please contact the institution."
        work_off(system.services, share, Verdict(Outcome.DEAD, code, 400, flinks_code=code, message=text))
    if (filed := system.redis.zcard("nightly:letters:open")) != letters:
        raise AssertionError(f"{filed} of {letters} letters were filed")
    return seconds


def fill_the_rest(system: System) -> None:
    """Add rejected messages, owners, entries of the audit log, and the counters of a day."""
    letters = system.services.letters
    letters.keep_rejected([
        Message(f"iv-m{at}", "invalid_event", "time: is not a time", "stream", 300, b"sealed") for at in range(MESSAGES)
    ])  # fmt: skip
    newest = [raw.decode() for raw in system.redis.zrevrange("nightly:letters:open", 0, OWNED + MESSAGES)]
    changes = LetterChanges(system.redis)
    for letter_id in [each for each in newest if each.startswith("dl-")][:OWNED]:
        changes.change(Act(letter_id, ANN, "assign", "the bank was asked"), "owner", OWNER)
    for number in range(ENTRIES):
        changes.audit.append(Deed(ANN, "gate.open", INSTANCE, f"test {number}"))
    _fill_minutes(system)


def _fill_minutes(system: System) -> None:
    end = system.services.ledger.now_ms() // MINUTE_MS
    counters, notes = [0] * 5, []
    for at in range(end - DAY_MINUTES, end + 1):
        counters = [value + random.randrange(200) for value in counters]
        state = [random.randrange(500), 10, 5, at * MINUTE_MS - 20_000]
        notes.append(json.dumps([at * MINUTE_MS, {INSTANCE: [*counters, *state]}]))
    system.redis.delete("nightly:minutes")
    system.redis.rpush("nightly:minutes", *notes)
