"""Rejected messages, replayed unchanged or resubmitted with corrections: the letter closes with its events."""

import base64
import json
from typing import Any

import pytest

from tests.integration.operations.reviewing import ANN, BOB, LOGIN, RIGHT, Review, event
from tests.ledger_calls import list_letters
from worker.errors import InvalidAction, InvalidEvent, LetterClosed, NeedsLoginKeys, NotReplicated, OutOfDate
from worker.events.contract import Requirements
from worker.intake.accept import Rejection, body_context
from worker.intake.celery_message import kept_message
from worker.intake.messages import CeleryMessage
from worker.ledger import Recorded, letter_changes
from worker.operations.letter_preview import Would
from worker.operations.rejected_messages import FieldReason
from worker.vault.vault import Vault

WRONG_TIME = event(time="22.11.2020")


def allow_instance(review: Review, *names: str) -> None:
    """Configure instances, which makes messages valid that were rejected for theirs."""
    review.intake._requirements = Requirements(max_ahead_seconds=3600, instances=frozenset(names))


def resubmit(review: Review, old: str, new: str, **terms: Any) -> Any:
    """Change the shown text of the only message, and resubmit it."""
    (letter,) = [each for each in list_letters(review.letters) if each.kind == "message"]
    text = review.actions.masked_body(letter.id).text
    assert old in text
    return review.actions.resubmit(letter.id, body=text.replace(old, new), **{"by": ANN, "reason": "typing"} | terms)


def test_a_corrected_message_is_accepted_with_the_value_that_was_not_shown(review: Review) -> None:
    letter = review.rejected(WRONG_TIME)
    done = resubmit(review, '"22.11.2020"', '"2020-11-22T10:00:00Z"', version=letter.version)
    assert (done.outcome, done.recorded, done.corrected_to) == ("corrected", (Recorded.RECORDED,), review.reference())
    call = review.claim()
    assert review.vault.open_login(call.reference, call.sealed) == LOGIN
    closed = review.letters.get(letter.id)
    assert (closed.status, closed.closed_by, closed.corrected_to) == ("corrected", "ann", review.reference())
    assert review.letters.body(letter.id) == b""
    (entry,) = review.audit.entries(target=review.reference())
    assert (entry.action, entry.target, entry.why) == ("letter.resubmit", letter.id, "typing")


def test_a_message_that_is_still_invalid_changes_nothing_and_gives_the_reasons_by_field(review: Review) -> None:
    review.rejected(WRONG_TIME)
    before = review.everything()
    done = resubmit(review, '"type": "account.linked"', '"type": "account.lost"')
    assert done.outcome == "still_invalid"
    assert done.reasons == (
        FieldReason("type", "input should be 'account.linked' or 'account.inactive'"),
        FieldReason("time", "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"),
    )
    assert review.everything() == before


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ("", "body", "is not JSON"),
        ("{", "body", "is not JSON"),
        ("[]", "body", "is an empty array"),
        ("7", "event", "must be an object"),
        ('{"type": "x", "kwargs": {}}', "event", "a Celery message needs a type, a list of args, and kwargs"),
        ('{"type": "x", "args": [], "kwargs": {}}', "type", "must be account.linked or account.inactive"),
        ("[" * 100_000, "body", "is not JSON"),
        (" " * 1_048_577, "body", "larger than 1048576 bytes"),
        ("\ud800", "body", "is not JSON"),
    ],
    ids=range(9),
)
def test_garbage_in_place_of_the_body_is_still_invalid(review: Review, body: str, field: str, rule: str) -> None:
    letter = review.rejected(WRONG_TIME)
    before = review.everything()
    done = review.actions.resubmit(letter.id, by=ANN, body=body, reason="x")
    assert (done.outcome, done.reasons) == ("still_invalid", (FieldReason(field, rule),))
    assert review.everything() == before


def test_a_placeholder_without_a_value_is_refused(review: Review) -> None:
    review.rejected(WRONG_TIME)
    with pytest.raises(InvalidAction, match=r"no value \[kept 9\]"):
        resubmit(review, "[kept 1]", "[kept 9]")


def test_the_reason_of_a_resubmission_must_not_hold_a_new_login_id(review: Review) -> None:
    review.rejected(WRONG_TIME)
    for reason in (f"is {LOGIN}", "is now anna.4711"):
        with pytest.raises(InvalidAction, match="holds the loginId"):
            resubmit(review, '"22.11.2020"', '"2020-11-22T10:00:00Z", "login": "anna.4711"', reason=reason)
    assert review.audit.entries() == []


def test_a_batch_of_events_is_resubmitted_whole_or_not_at_all(review: Review) -> None:
    """A whole batch is one letter if its readers died of it."""
    body = json.dumps([event("a", id="1"), event("b", id="2", time="soon"), event("c", id="3")]).encode()
    review.intake.reject([Rejection(InvalidEvent("body: its readers died"), "stream", body)])
    (letter,) = list_letters(review.letters)
    text = review.actions.masked_body(letter.id).text
    before = review.everything()
    assert review.actions.resubmit(letter.id, by=ANN, body=text, reason="x").outcome == "still_invalid"
    assert review.everything() == before
    corrected = text.replace('"time": "[kept 3]"', '"time": "2020-11-22T10:00:00Z"')
    done = review.actions.resubmit(letter.id, by=ANN, body=corrected, reason="x")
    assert (done.outcome, len(done.recorded), done.corrected_to) == ("corrected", 3, "")
    assert review.tally()["recorded"] == 3


def test_a_replayed_batch_records_what_is_valid_and_files_the_rest_alone(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.operations.message_actions.WISHES_AT_MOST", 2)
    bad = event("x", id="bad", time="soon")
    body = json.dumps([*(event(f"login-{n}", id=str(n)) for n in range(5)), bad]).encode()
    review.intake.reject([Rejection(InvalidEvent("body: its readers died"), "stream", body)])
    (letter,) = list_letters(review.letters)
    preview = review.actions.preview(letter.id)
    assert (preview.would, preview.reasons) == (Would.ACCEPT, [FieldReason("time", WRONG_TIME_RULE)])
    assert "5 events are valid now" in preview.sentence
    done = review.actions.replay(letter.id, by=ANN, version=letter.version)
    assert (done.outcome, len(done.recorded), review.tally()["recorded"]) == ("replayed", 5, 5)
    (other,) = list_letters(review.letters)
    assert (other.event_id, other.reason) == ("bad", f"time: {WRONG_TIME_RULE}")


WRONG_TIME_RULE = "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"


def test_a_message_is_replayed_unchanged_once_it_is_valid(review: Review) -> None:
    letter = review.rejected(event(data={"loginId": LOGIN, "instance": "eu"}))
    assert review.actions.preview(letter.id).would is Would.STILL_INVALID
    done = review.actions.replay(letter.id, by=ANN)
    assert (done.outcome, done.reasons) == (
        "still_invalid",
        (FieldReason("instance", "is not one of the configured instances"),),
    )
    assert review.letters.get(letter.id).version == letter.version
    allow_instance(review, "toolbox", "eu")
    assert review.actions.preview(letter.id).would is Would.ACCEPT
    assert review.actions.replay(letter.id, by=ANN).outcome == "replayed"
    assert review.redis.hget("nightly:tally:eu", "recorded") == b"1"
    assert review.letters.get(letter.id).corrected_to == ""
    with pytest.raises(LetterClosed, match="replayed by ann"):
        review.actions.replay(letter.id, by=BOB)


def test_an_event_of_tomorrow_is_still_invalid(review: Review) -> None:
    letter = review.rejected(event(time="2026-11-22T10:00:00Z", data={"loginId": LOGIN, "instance": "eu"}))
    allow_instance(review, "toolbox", "eu")
    done = review.actions.replay(letter.id, by=ANN)
    assert (done.outcome, done.reasons[0].field) == ("still_invalid", "time")


def test_of_two_resubmissions_only_the_first_is_accepted(review: Review) -> None:
    letter = review.rejected(WRONG_TIME)
    text = review.actions.masked_body(letter.id).text
    good = text.replace("22.11.2020", "2020-11-22T10:00:00Z")
    review.actions.resubmit(letter.id, by=BOB, body=good, reason="x", version=letter.version)
    with pytest.raises(OutOfDate, match="corrected by bob"):
        review.actions.resubmit(
            letter.id,
            by=ANN,
            body=good.replace("account.linked", "account.inactive"),
            reason="x",
            version=letter.version,
        )
    assert review.tally()["recorded"] == 1


def test_a_conflict_that_only_the_script_sees_records_nothing(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = review.rejected(WRONG_TIME)
    text = review.actions.masked_body(letter.id).text.replace("22.11.2020", "2020-11-22T10:00:00Z")
    review.actions.note(letter.id, by=BOB, note="look")
    monkeypatch.setattr(letter_changes.LetterChanges, "check_seen", lambda *_: None)
    before = review.everything()
    with pytest.raises(OutOfDate):
        review.actions.resubmit(letter.id, by=ANN, body=text, reason="x", version=letter.version)
    assert review.everything() == before


@pytest.mark.parametrize("changes", [{"id": RIGHT}, {}])
def test_a_queue_item_is_shown_as_its_celery_message(review: Review, changes: dict[str, Any]) -> None:
    headers = {"task": "account.linked", "id": "task-1"} | changes
    kwargs = {"login_id": LOGIN, "occurred_at": "22.11.2020"}
    inner = base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode()
    item = {"headers": headers, "body": inner, "content-type": "application/json", "content-encoding": "utf-8"}
    item["properties"] = {"body_encoding": "base64", "delivery_tag": "t", "delivery_info": {}}
    body = json.dumps(item).encode()
    assert isinstance(kept_message(body), CeleryMessage)
    review.intake.reject([Rejection(InvalidEvent("message: its readers died"), "queue", body)])
    (letter,) = list_letters(review.letters)
    shown = json.loads(review.actions.masked_body(letter.id).text)
    assert shown["kwargs"] == {"login_id": "[kept 1]", "occurred_at": "22.11.2020", "event_id": headers["id"]}
    done = resubmit(review, "22.11.2020", "2020-11-22T10:00:00Z")
    assert (done.outcome, done.corrected_to) == ("corrected", review.reference())


def test_the_login_id_of_a_message_is_revealed_if_it_names_one(review: Review) -> None:
    letter = review.rejected(WRONG_TIME)
    assert review.actions.reveal(letter.id, by=ANN, reason="which one?") == LOGIN
    review.actions.resolve(letter.id, by=ANN, note="x")
    with pytest.raises(InvalidAction, match="not kept here"):
        review.actions.reveal(letter.id, by=ANN, reason="which one?")


def test_what_needs_the_body_says_what_is_missing(review: Review) -> None:
    letter = review.rejected(WRONG_TIME)
    assert review.without_keys.preview(letter.id).would is Would.NEEDS_LOGIN_KEYS
    for act in (
        lambda: review.without_keys.replay(letter.id, by=ANN),
        lambda: review.without_keys.resubmit(letter.id, by=ANN, body="{}", reason="x"),
        lambda: review.without_keys.masked_body(letter.id),
    ):
        with pytest.raises(NeedsLoginKeys, match="LOGIN_KEYS"):
            act()
    lost = Vault([bytes(32)])
    review.redis.set(f"nightly:letter-body:{letter.id}", lost.seal(body_context(letter.id), b"{}"))
    preview = review.actions.preview(letter.id)
    assert (preview.would, lost.key_ids[0] in preview.sentence) == (Would.NOT_KEPT, True)
    review.redis.delete(f"nightly:letter-body:{letter.id}")
    assert review.actions.preview(letter.id).would is Would.NOT_KEPT
    review.actions.resolve(letter.id, by=ANN, note="sent again by the producer")
    assert review.actions.preview(letter.id).would is Would.CLOSED


def test_a_correction_of_a_login_is_not_for_messages(review: Review) -> None:
    letter = review.rejected(WRONG_TIME)
    for act in (
        lambda: review.actions.correct_login(letter.id, by=ANN, login_id=RIGHT, reason="x"),
        lambda: review.actions.correct_wish(letter.id, by=ANN, wish="off", reason="x"),
    ):
        with pytest.raises(InvalidAction, match="correct and resubmit it"):
            act()


def test_events_that_no_replica_confirmed_are_recorded_and_the_person_is_told(
    review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = review.rejected(WRONG_TIME)
    monkeypatch.setattr("worker.ledger.scripts.REPLICAS_WITHIN_MS", 1)
    review.intake.replicas = 1
    with pytest.raises(NotReplicated, match=r"0 of 1 replicas .*a failover may lose them. Look at the letter again"):
        resubmit(review, '"22.11.2020"', '"2020-11-22T10:00:00Z"')
    assert (review.letters.get(letter.id).status, review.tally()["recorded"]) == ("corrected", 1)
