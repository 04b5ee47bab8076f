"""A corrected login or wish: the old login is closed, the newest wish of the right one wins, the tally adds up."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from tests.integration.operations.reviewing import ANN, FIRST_US, INSTANCE, LOGIN, RIGHT, Review
from tests.ledger_calls import list_letters
from worker.errors import InvalidAction, LedgerMismatch, OutOfDate
from worker.ledger import Recorded
from worker.ledger.queries import Views
from worker.vault.vault import Vault

ENDED = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")


def state_of(review: Review, login_id: str) -> dict[str, Any]:
    return Views(review.redis, now_ms=review.clock).login(review.reference(login_id)) or {}


def correct(review: Review, **changes: Any) -> Any:
    (letter,) = [each for each in list_letters(review.letters) if each.login == review.reference()]
    return review.actions.correct_login(letter.id, by=ANN, **{"login_id": RIGHT, "reason": "a typing error"} | changes)


def unfinished(review: Review) -> int:
    """Return the events that wait or are in flight, by the due sets and leases."""
    lanes = sum(review.redis.zcard(f"nightly:due:{INSTANCE}:{lane}") for lane in ("live", "backfill"))
    return lanes + review.redis.zcard(f"nightly:leases:{INSTANCE}")


def test_the_right_login_gets_the_wish_with_its_time_and_event(review: Review) -> None:
    review.dead(on=False, minute=3, event_id="evt-7")
    done = correct(review)
    assert (done.outcome, done.corrected_to, done.recorded) == (
        "corrected",
        review.reference(RIGHT),
        (Recorded.RECORDED,),
    )
    right = state_of(review, RIGHT)
    assert (right["wish"], right["event_id"], right["account_id"]) == ("off", "evt-7", "cust-42")
    assert right["occurred_us"] == FIRST_US + 3 * 60_000_000
    call = review.claim()
    assert review.vault.open_login(call.reference, call.sealed) == RIGHT
    letter, wrong = review.letters.get("dl-1"), state_of(review, LOGIN)
    assert (letter.status, letter.corrected_to, letter.note) == ("corrected", call.reference, "a typing error")
    assert (wrong["state"], wrong["dead_letter"]) == ("dead_lettered", None), "the wrong login is never called again"


def test_both_logins_have_the_correction_in_their_history_and_in_the_audit_log(review: Review) -> None:
    letter = review.dead()
    correct(review)
    (entry,) = review.audit.entries()
    assert entry.detail == {"old": letter.login, "new": review.reference(RIGHT)}
    for login_id in (LOGIN, RIGHT):
        (action,) = state_of(review, login_id)["actions"]
        assert (action["action"], action["letter"], action["text"]) == ("correct_login", "dl-1", "a typing error")
        assert review.audit.entries(target=review.reference(login_id)) == [entry]


@pytest.mark.parametrize(
    ("minute", "on", "result"), [(5, True, "superseded"), (0, False, "duplicate"), (-5, True, "recorded")]
)
def test_the_newest_wish_of_the_right_login_wins(review: Review, minute: int, on: bool, result: str) -> None:  # noqa: FBT001
    review.wish(RIGHT, minute=minute, on=on)
    review.settle(review.claim(), "applied")
    review.dead(on=False)
    assert correct(review).recorded == (Recorded(result),)
    assert state_of(review, RIGHT)["wish"] == ("off" if result != "superseded" else "on")
    assert review.letters.get("dl-1").status == "corrected"
    assert unfinished(review) == (result == "recorded")


def test_a_letter_of_the_right_login_is_superseded_by_a_newer_corrected_wish(review: Review) -> None:
    other = review.dead(RIGHT, minute=-5)
    review.dead()
    correct(review)
    assert review.letters.get(other.id).status == "superseded"
    assert state_of(review, RIGHT)["state"] == "waiting"


def test_an_open_letter_of_the_right_login_stays_and_keeps_its_history_if_its_wish_is_newer(review: Review) -> None:
    other = review.dead(RIGHT, minute=5)
    review.dead()
    correct(review)
    assert review.letters.get(other.id).status == "open"
    assert review.redis.ttl(f"nightly:history:{other.login}") == -1


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_correction_that_takes_back_another_one_calls_the_first_login_again(
    review: Review,
    is_closed: bool,  # noqa: FBT001
) -> None:
    review.dead()
    if is_closed:
        correct(review)
        review.settle(review.claim(), "dead", code="INVALID_LOGIN")
    else:
        review.dead(RIGHT)
    (other,) = [each for each in list_letters(review.letters) if each.login == review.reference(RIGHT)]
    done = review.actions.correct_login(other.id, by=ANN, login_id=LOGIN, reason="it was right")
    assert done.recorded == (Recorded.DUPLICATE,)
    assert unfinished(review) == is_closed, "an open letter of the first login still waits for a person"
    if is_closed:
        assert review.claim().reference == review.reference(LOGIN)
    tally = Counter(review.tally())
    assert tally["recorded"] + tally["replayed"] == sum(tally[name] for name in ENDED) + unfinished(review)


def test_a_right_login_in_flight_is_called_again_with_the_corrected_wish(review: Review) -> None:
    review.dead()
    review.wish(RIGHT, minute=-5, on=False)
    call = review.claim()
    correct(review)
    review.settle(call, "applied")
    again = review.claim()
    assert (again.reference, again.wants_active) == (review.reference(RIGHT), True)


@pytest.mark.parametrize("ahead_minutes", [-60, 0, 30])
def test_a_corrected_wish_is_newer_than_the_wrong_one_even_if_that_was_dated_ahead(
    review: Review, ahead_minutes: int
) -> None:
    minute = (review.clock.ms * 1000 - FIRST_US) // 60_000_000 + ahead_minutes
    letter = review.dead(minute=minute)
    done = review.actions.correct_wish(letter.id, by=ANN, wish="off", reason="they closed the card")
    assert done.recorded == (Recorded.RECORDED,)
    about = state_of(review, LOGIN)
    assert (about["wish"], about["event_id"], about["state"]) == ("off", "dl-1:corrected", "waiting")
    assert about["occurred_us"] == max(review.clock.ms * 1000, letter.occurred_us + 1)
    call = review.claim()
    assert (call.wants_active, review.vault.open_login(call.reference, call.sealed)) == (False, LOGIN)


@pytest.mark.parametrize(
    ("login_id", "why"),
    [
        (LOGIN, "is the loginId of dl-1 already"),
        (LOGIN.upper(), "is the loginId of dl-1 already"),
        ("", "at least 1 character"),
        (f"{RIGHT}\n", "not printable"),
        (f" {RIGHT}", "begins or ends with a space"),
        ("x" * 257, "at most 256 characters"),
        ("x" * 10_000_000, "at most 256 characters"),
        ("\ud800", "not printable"),
        ("\u202e" + RIGHT, "not printable"),
    ],
    ids=range(9),
)
def test_a_wrong_login_id_changes_nothing_and_is_not_repeated(review: Review, login_id: str, why: str) -> None:
    review.dead()
    before = review.everything()
    with pytest.raises(InvalidAction, match=why) as raised:
        correct(review, login_id=login_id)
    assert len(login_id) < 2 or login_id[:30] not in str(raised.value)
    assert review.everything() == before


@pytest.mark.parametrize("reason", [f"was {LOGIN}", f"is {RIGHT}", f"now {RIGHT.upper().replace('-', '')}"])
def test_a_reason_with_either_login_id_is_refused(review: Review, reason: str) -> None:
    review.dead()
    with pytest.raises(InvalidAction, match="holds the loginId"):
        correct(review, reason=reason)
    assert review.letters.get("dl-1").status == "open"


def test_an_event_id_that_holds_the_right_login_id_is_masked(review: Review) -> None:
    review.dead(event_id=f"link-{RIGHT}")
    correct(review)
    assert state_of(review, RIGHT)["event_id"].startswith("masked-")


def test_a_login_id_is_corrected_even_if_the_key_of_the_wrong_one_is_lost(review: Review) -> None:
    letter = review.dead()
    lost = Vault([bytes(32)]).seal_login(letter.login, LOGIN)
    review.redis.hset(f"nightly:login:{letter.login}", "v", lost)
    correct(review)
    (entry,) = review.audit.entries()
    assert entry.detail == {"old": letter.login, "new": review.reference(RIGHT)}


def test_a_correction_counts_the_seal_of_the_right_login_id(review: Review) -> None:
    review.dead()
    before = Views(review.redis).seals()
    correct(review)
    (key_id,) = before
    assert Views(review.redis).seals() == {key_id: before[key_id] + 1}


@pytest.mark.parametrize("moved_on", [{"s": "done"}, {"x": "dl-7"}])
def test_a_login_that_was_called_or_deleted_since_is_not_corrected(review: Review, moved_on: dict[str, str]) -> None:
    letter = review.dead()
    review.redis.hset(f"nightly:login:{letter.login}", mapping=moved_on)
    before = review.everything()
    with pytest.raises(OutOfDate, match=r"its login.* is another one now\. Nothing was done"):
        correct(review)
    assert review.everything() == before


@pytest.mark.parametrize("act", ["correct", "note"])
def test_code_of_an_older_schema_changes_no_letter(review: Review, act: str) -> None:
    review.dead()
    review.redis.hset("nightly:meta", "schema", 99)
    before = review.everything()
    with pytest.raises(LedgerMismatch):
        correct(review) if act == "correct" else review.actions.note("dl-1", by=ANN, note="x")
    assert review.everything() == before


@pytest.mark.parametrize("seed", range(3))
def test_the_tally_adds_up_after_random_corrections(review: Review, seed: int) -> None:
    """recorded + replayed = the ended + those that wait or are in flight (common.lua)."""
    chance, names, seen = Random(seed), ["one", "two", "three", "four"], Counter[str]()
    for minute in range(90):
        step = chance.choice(["event", "event", "call", "call", "call", "login", "wish", "replay"])
        letters = sorted(list_letters(review.letters), key=lambda letter: letter.id)
        if step == "event":
            today = (review.clock.ms * 1000 - FIRST_US) // 60_000_000
            at = chance.choice([0, minute, today + minute, today + minute])
            review.wish(chance.choice(names), on=chance.random() < 0.5, minute=at)
        elif step == "call" and unfinished(review):
            outcome = chance.choice(["dead", "dead", "applied"])
            review.settle(review.claim(), outcome, code={"dead": "DISABLED_LOGIN"}.get(outcome, "applied"))
        elif letters and step in {"login", "wish", "replay"}:
            letter = chance.choice(letters)
            wrong = {name for name in names if review.reference(name) == letter.login}
            target = chance.choice([name for name in names if name not in wrong])
            terms: dict[str, Any] = {"by": ANN, "version": letter.version}
            if step == "login":
                review.actions.correct_login(letter.id, login_id=target, reason="typing", **terms)
            elif step == "wish":
                other = {"on": "off", "off": "on"}[letter.wish]
                review.actions.correct_wish(letter.id, wish=other, reason="change", **terms)
            else:
                review.actions.replay(letter.id, **terms)
            seen[step] += 1
        tally = review.tally()
        begun = tally.get("recorded", 0) + tally.get("replayed", 0)
        assert begun == sum(tally.get(name, 0) for name in ENDED) + unfinished(review)
    assert all(seen[step] for step in ("login", "wish", "replay")), seen
