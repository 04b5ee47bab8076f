"""Nothing that people do to dead letters writes a loginId anywhere: ledger, audit log, history, results, errors."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.integration.operations.reviewing import ANN, Review, event
from tests.leaks import leaks, redis_contents
from tests.ledger_calls import list_letters
from worker.errors import NightlyError
from worker.ledger.queries import Views
from worker.operations.letter_actions import LetterActions

OLD, NEW, NAMED = (
    "4c0f1a55-0000-4000-8000-00000000a11d",
    "anna.4711@example.com",
    "5e115eab-0000-4000-8000-00000c0ffee1",
)
SECRETS = [OLD, NEW, NAMED]
Act = Callable[[LetterActions, str, str], object]
"""Acts on a letter, with a text that a person typed."""

OF_LOGIN: dict[str, Act] = {
    "replay": lambda actions, one, text: actions.replay(one, by=ANN, note=text),
    "resolve": lambda actions, one, text: actions.resolve(one, by=ANN, note=text),
    "nothing left": lambda actions, one, text: actions.nothing_left(one, by=ANN, note=text),
    "correct login": lambda actions, one, text: actions.correct_login(one, by=ANN, login_id=NEW, reason=text),
    "correct to itself": lambda actions, one, text: actions.correct_login(one, by=ANN, login_id=OLD, reason=text),
    "correct to bad": lambda actions, one, text: actions.correct_login(one, by=ANN, login_id=f"{NEW}\n", reason=text),
    "correct wish": lambda actions, one, text: actions.correct_wish(one, by=ANN, wish="on", reason=text),
    "assign": lambda actions, one, text: actions.assign(one, by=ANN, owner=text),
    "note": lambda actions, one, text: actions.note(one, by=ANN, note=text),
}  # fmt: skip
TEXTS = ["because", f"was {OLD}", f"is {NEW}, I think", OLD.upper().replace("-", ""), f"{NEW.upper()}\u202e\n\x00"]


def traces(review: Review, *others: object) -> list[str]:
    written = [*redis_contents(review.redis), ("the results", repr(others).encode())]
    return leaks(SECRETS, written)


@pytest.mark.parametrize("verb", OF_LOGIN)
def test_no_action_on_a_login_writes_a_login_id(review: Review, verb: str) -> None:
    for text in TEXTS:
        if verb != "correct login" and NEW[:4] in text.lower():
            continue  # nothing tells that this is a loginId
        review.redis.flushall()
        review = Review(review.redis, review.vault)
        letter = review.dead(OLD, on=False, event_id=f"link-{review.vault.fingerprint(OLD)}")
        results = list[object]()
        try:
            results.append(OF_LOGIN[verb](review.actions, letter.id, text))
        except NightlyError as error:
            results += [str(error), error.args]
        results += [review.letters.get(letter.id), Views(review.redis, now_ms=review.clock).login(letter.login)]
        results += [review.actions.preview(letter.id), review.audit.entries()]
        assert traces(review, *results) == []


def attempts_on(review: Review, letter_id: str, text: str) -> list[Callable[[], object]]:
    """Return everything that a person may try with a rejected message whose shown body is `text`."""
    actions = review.actions
    return [
        lambda: actions.replay(letter_id, by=ANN),
        lambda: actions.resubmit(letter_id, by=ANN, body=text, reason=NAMED),
        lambda: actions.resubmit(letter_id, by=ANN, body=text, reason="typing"),
        lambda: actions.resubmit(letter_id, by=ANN, body=NAMED * 300_000, reason="typing"),
        lambda: actions.note(letter_id, by=ANN, note=f"it is {NAMED}"),
        lambda: actions.correct_login(letter_id, by=ANN, login_id=NAMED, reason="x"),
        lambda: actions.resolve(letter_id, by=ANN, note="sent again"),
    ]


@pytest.mark.parametrize(
    "document",
    [
        event(NAMED, time="soon"),
        event(f"{NAMED}\n"),
        event(NAMED, id=NAMED, subject=NAMED, source=NAMED, type=NAMED, time=NAMED),
        event(NAMED) | {"data": {"lgn": NAMED}},
        event(NAMED) | {"data": {NAMED: {NAMED: [NAMED, {"x": NAMED}]}}},
        {"type": NAMED, "args": [NAMED], "kwargs": {NAMED: NAMED}},
        [event(NAMED, time="soon"), event(NAMED, time="late", subject=NAMED)],
        NAMED,
    ],
    ids=range(8),
)
@pytest.mark.parametrize("is_broken", [False, True])
def test_no_action_on_a_message_writes_a_login_id(review: Review, document: Any, *, is_broken: bool) -> None:
    body = json.dumps(document).encode()[: -1 if is_broken else None]
    assert not review.intake.accept_bodies([body])
    results = list[object]()
    for letter in list_letters(review.letters):
        masked = review.actions.masked_body(letter.id)
        results += [masked, review.actions.preview(letter.id), review.actions.reasons(letter)]
        for act in attempts_on(review, letter.id, masked.text):
            try:
                results.append(act())
            except NightlyError as error:
                results.append(str(error))
        with suppress(NightlyError):
            review.actions.reveal(letter.id, by=ANN, reason="why")
    assert len(results) >= 10
    assert traces(review, *results, review.audit.entries()) == []
