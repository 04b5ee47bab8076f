"""Each action on a dead letter, in each state of the letter: it does what the person saw, or nothing at all."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.operations.reviewing import ANN, BOB, INSTANCE, LOGIN, RIGHT, Review
from worker.errors import InvalidAction, LetterClosed, NeedsLoginKeys, OutOfDate, UnknownLetter
from worker.ledger.audit import Actor, Deed
from worker.ledger.history import by_kind
from worker.ledger.scripts import Scripts
from worker.operations.letter_actions import NOTHING_LEFT, LetterActions
from worker.operations.letter_corrections import Done

Verb = Callable[..., Done]
HOUR_MS = 3_600_000


def _snooze(actions: LetterActions, letter_id: str, **terms: Any) -> Done:
    return actions.snooze(letter_id, until_ms=1_700_000_000_000 + HOUR_MS, **terms)


def _correct_login(actions: LetterActions, letter_id: str, **terms: Any) -> Done:
    return actions.correct_login(letter_id, login_id=RIGHT, reason="a typing error", **terms)


def _reveal(actions: LetterActions, letter_id: str, **terms: Any) -> Any:
    return actions.reveal(letter_id, reason="x", **terms)


VERBS: dict[str, Verb] = {
    "replay": LetterActions.replay,
    "resolve": lambda actions, letter_id, **terms: actions.resolve(letter_id, note="card deleted", **terms),
    "nothing_left": LetterActions.nothing_left,
    "correct_login": _correct_login,
    "correct_wish": lambda actions, letter_id, **terms: actions.correct_wish(letter_id, wish="on", reason="x", **terms),
    "assign": lambda actions, letter_id, **terms: actions.assign(letter_id, owner="team b", **terms),
    "note": lambda actions, letter_id, **terms: actions.note(letter_id, note="asked them", **terms),
    "snooze": _snooze,
}
verbs = pytest.mark.parametrize("verb", VERBS)


def _replayed_and_in_flight(review: Review) -> None:
    review.actions.replay("dl-1", by=BOB)
    review.claim()


MEANWHILE: dict[str, tuple[Callable[[Review], object], str]] = {
    "closed by another": (lambda review: review.actions.resolve("dl-1", by=BOB, note="x"), "resolved by bob"),
    "superseded": (lambda review: review.wish(minute=1, event_id="evt-2"), "superseded by the newer event evt-2"),
    "in flight": (_replayed_and_in_flight, "replayed by bob"),
    "corrected": (lambda review: VERBS["correct_wish"](review.actions, "dl-1", by=BOB), "corrected by bob"),
}


@verbs
def test_an_action_on_an_open_letter_is_done_once_and_audited(review: Review, verb: str) -> None:
    letter = review.dead(on=False)
    VERBS[verb](review.actions, letter.id, by=ANN, version=letter.version)
    changed = review.letters.get(letter.id)
    assert changed.version == letter.version + 1
    (entry,) = review.audit.entries()
    assert (entry.by, entry.role, entry.via, entry.address) == ("ann", "operator", "page", "192.0.2.7")
    assert (entry.action, entry.target) == (f"letter.{verb}", letter.id)
    assert review.audit.entries(target=letter.login) == [entry]
    (action,) = by_kind(review.letters.history(letter.login))["actions"]
    assert (action["by"], action["action"], action["letter"], action["entry"]) == ("ann", verb, letter.id, 1)


@verbs
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_an_action_on_a_letter_that_was_closed_meanwhile_changes_nothing_and_says_why(
    review: Review, verb: str, meanwhile: str
) -> None:
    letter = review.dead(on=False)
    act, why = MEANWHILE[meanwhile]
    act(review)
    before = review.everything()
    for version in (None, letter.version):
        with pytest.raises(LetterClosed, match=rf"^dl-1 is closed already: {why} on .*UTC\. Nothing was done\.$"):
            VERBS[verb](review.actions, letter.id, by=ANN, version=version)
    assert review.everything() == before


@verbs
def test_an_action_on_a_letter_that_changed_since_it_was_seen_changes_nothing(review: Review, verb: str) -> None:
    letter = review.dead(on=False)
    review.actions.note(letter.id, by=BOB, note="do not touch")
    before = review.everything()
    with pytest.raises(OutOfDate, match=r"^dl-1 has changed since .*the last action was note by bob.*Nothing was done"):
        VERBS[verb](review.actions, letter.id, by=ANN, version=letter.version)
    assert review.everything() == before
    VERBS[verb](review.actions, letter.id, by=ANN, version=letter.version + 1)


@verbs
def test_an_action_on_an_unknown_letter_changes_nothing(review: Review, verb: str) -> None:
    before = review.everything()
    with pytest.raises(UnknownLetter):
        VERBS[verb](review.actions, "dl-99", by=ANN)
    assert review.everything() == before


@pytest.mark.parametrize("second", ["replay", "resolve", "correct_login", "correct_wish"])
def test_of_two_people_at_once_only_one_changes_the_letter(review: Review, second: str) -> None:
    letter = review.dead(on=False)
    start, results = threading.Barrier(2), list[object]()

    def act(verb: str, by: Actor) -> None:
        start.wait()
        try:
            results.append(VERBS[verb](review.actions, letter.id, by=by, version=letter.version))
        except OutOfDate as error:
            results.append(error)

    threads = [threading.Thread(target=act, args=pair) for pair in (("replay", ANN), (second, BOB))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in results if isinstance(each, Done)]) == 1
    assert len(review.audit.entries()) == 1
    tally = review.tally()
    assert tally.get("replayed", 0) + tally["recorded"] <= 2, "the wish is asserted by one of them"


def test_a_replay_asserts_the_newest_wish_in_the_backfill_lane(review: Review) -> None:
    letter = review.dead()
    assert review.actions.replay(letter.id, by=ANN).outcome == "replayed"
    again = review.claim()
    assert (again.reference, again.wants_active, again.failures) == (letter.login, True, 0)


def test_only_a_deactivation_of_an_unknown_login_has_nothing_left_to_switch_off(review: Review) -> None:
    letter = review.dead(on=False)
    review.actions.nothing_left(letter.id, by=ANN, note="deleted in May")
    closed = review.letters.get(letter.id)
    assert (closed.status, closed.closed_by, closed.note) == ("resolved", "ann", f"{NOTHING_LEFT} deleted in May")
    wanted, disabled = review.dead(RIGHT), review.dead("another", on=False, code="DISABLED_LOGIN")
    for other in (wanted, disabled):
        with pytest.raises(InvalidAction, match="is not INVALID_LOGIN with the wish off"):
            review.actions.nothing_left(other.id, by=ANN)
        assert review.letters.get(other.id).status == "open"


def test_the_owner_note_and_snooze_of_a_letter_are_shown_and_taken_back(review: Review) -> None:
    letter = review.dead()
    until = review.clock.ms + HOUR_MS
    review.actions.assign(letter.id, by=ANN, owner="team b")
    review.actions.note(letter.id, by=ANN, note="  asked\nthem ")
    review.actions.snooze(letter.id, by=ANN, until_ms=until)
    seen = review.letters.get(letter.id)
    assert (seen.owner, seen.note, seen.snoozed_until, seen.status) == ("team b", "asked them", until, "open")
    review.actions.assign(letter.id, by=BOB, owner="")
    review.actions.snooze(letter.id, by=BOB, until_ms=None)
    seen = review.letters.get(letter.id)
    assert (seen.owner, seen.note, seen.snoozed_until) == ("", "asked them", None)
    review.actions.replay(letter.id, by=ANN)
    assert review.letters.get(letter.id).note == "asked them", "a replay without a note keeps the last one"


@pytest.mark.parametrize("until", [0, 1_700_000_000_000, 1_700_000_000_000 + 500 * 24 * HOUR_MS, -5])
def test_a_letter_is_snoozed_for_a_year_at_most_and_never_into_the_past(review: Review, until: int) -> None:
    letter = review.dead()
    with pytest.raises(InvalidAction, match="in the next 366 days"):
        review.actions.snooze(letter.id, by=ANN, until_ms=until)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda actions: actions.resolve("dl-1", by=ANN, note=" \n "), "Give a note"),
        (lambda actions: actions.note("dl-1", by=ANN, note="x" * 2001), "longer than 2,000 characters"),
        (lambda actions: actions.assign("dl-1", by=ANN, owner="x" * 201), "longer than 200 characters"),
        (lambda actions: actions.note("dl-1", by=ANN, note=f"it is {LOGIN.upper()}"), "holds the loginId"),
        (lambda actions: actions.resolve("dl-1", by=ANN, note=LOGIN.replace("-", "")), "holds the loginId"),
        (lambda actions: actions.assign("dl-1", by=ANN, owner=LOGIN), "holds the loginId"),
        (lambda actions: actions.correct_wish("dl-1", by=ANN, wish="off", reason=""), "Give a reason"),
        (lambda actions: actions.correct_wish("dl-1", by=ANN, wish="on", reason="x"), "only be corrected to off"),
        (lambda actions: actions.correct_wish("dl-1", by=ANN, wish="maybe", reason="x"), "only be corrected to off"),
        (lambda actions: actions.resubmit("dl-1", by=ANN, body="{}", reason="x"), "not about a rejected message"),
    ],
)
def test_a_wrong_argument_changes_nothing(review: Review, act: Callable[[LetterActions], object], why: str) -> None:
    review.dead()
    before = review.everything()
    with pytest.raises(InvalidAction, match=why) as raised:
        act(review.actions)
    assert str(raised.value).endswith("Nothing was done.")
    assert LOGIN not in str(raised.value).lower()
    assert review.everything() == before


def test_a_reveal_is_audited_before_it_returns_and_works_for_a_closed_letter(review: Review) -> None:
    letter = review.dead()
    assert review.actions.reveal(letter.id, by=ANN, reason="the bank asks") == LOGIN
    review.actions.resolve(letter.id, by=ANN, note="done")
    assert review.actions.reveal(letter.id, by=BOB, reason="again") == LOGIN
    assert [(entry.by, entry.action, entry.why) for entry in review.audit.entries()] == [
        ("bob", "letter.reveal", "again"),
        ("ann", "letter.resolve", "done"),
        ("ann", "letter.reveal", "the bank asks"),
    ]
    assert len(review.audit.entries(target=letter.login)) == 3, "the timeline of the login lacks an action"
    with pytest.raises(InvalidAction, match="Give a reason"):
        review.actions.reveal(letter.id, by=ANN, reason="")


@pytest.mark.parametrize("verb", ["correct_login", "reveal"])
def test_without_login_keys_only_actions_that_need_them_are_refused(review: Review, verb: str) -> None:
    letter = review.dead(on=False)
    with pytest.raises(NeedsLoginKeys, match="needs LOGIN_KEYS"):
        (VERBS | {"reveal": _reveal})[verb](review.without_keys, letter.id, by=ANN)
    assert review.audit.entries() == []
    for other in ("note", "assign", "snooze", "correct_wish"):
        VERBS[other](review.without_keys, letter.id, by=ANN)
    assert review.letters.get(letter.id).status == "corrected"
    assert review.redis.zcard(f"nightly:due:{INSTANCE}:live") == 1


@pytest.mark.parametrize("script", ["close_dead_letter", "change_letter"])
def test_a_change_is_not_made_after_an_entry_that_its_own_entry_does_not_follow(review: Review, script: str) -> None:
    letter = review.dead()
    review.audit.append(Deed(BOB, "letter.reveal", letter.id))
    before = review.everything()
    arguments: dict[str, tuple[object, ...]] = {
        "close_dead_letter": (letter.id, "resolved", "", "ann", "resolve", "a note", ""),
        "change_letter": (letter.id, "", "ann", "note", "a note", "note", "a note"),
    }
    for head in ("", f"1 {'0' * 64}", f"2 {'0' * 64}"):
        audit = (head, f"2 {'1' * 64}", "{}")
        reply = Scripts(review.redis).run(script, review.clock.ms, *arguments[script], *audit)  # type: ignore[arg-type]
        assert reply == b"head"
    assert review.everything() == before
