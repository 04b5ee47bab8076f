"""Letters, logins and the search in the API."""

from dataclasses import asdict
from typing import Any

from worker.errors import InvalidAction, UnknownLogin
from worker.ledger.letter_filter import LetterFilter
from worker.operations import documents
from worker.operations.letter_corrections import Done
from worker.operations.search import Found
from worker.operations.timeline_items import TimelineItem
from worker.operations.waiting_reason import waiting_reason
from worker.web.review.api import answers
from worker.web.review.api.call import Call, milliseconds

SIZE, SIZE_AT_MOST = 50, 500
SEARCH_SECONDS = 5.0


def show_all(call: Call) -> answers.LetterList:
    """Return one page of the letters that match the filter in the query."""
    wanted = LetterFilter.from_query(call.query, now_ms=call.parts.views.now_ms())
    size = max(1, call.number("size", SIZE, at_most=SIZE_AT_MOST))
    page = call.parts.letter_pages.page(wanted, after=call.query.get("after"), size=size)
    letters = [documents.letter_document(letter) for letter in page.letters]
    unreadable = [str(error) for error in page.unreadable]
    return answers.LetterList(letters=letters, next=page.next, is_complete=page.is_complete, unreadable=unreadable)


def show(call: Call) -> answers.LetterAnswer:
    """Return one letter, what a replay would do now, and what happened."""
    parts = call.parts
    letter = parts.letters.get(call.path["id"])
    history = parts.letters.history(letter.login) if letter.login else []
    preview = asdict(parts.letter_actions.preview(letter.id))
    return answers.LetterAnswer(
        letter=documents.letter_document(letter, history),
        preview=answers.Preview.of(preview, occurred_us=preview["occurred_us"] or None),
        timeline=_timeline(parts.timeline.of_letter(letter, with_addresses=call.sees_addresses)),
    )


def body(call: Call) -> answers.MessageBody:
    """Return the body of a rejected message, with placeholders."""
    masked = call.parts.letter_actions.masked_body(call.path["id"])
    return answers.MessageBody(text=masked.text, is_editable=masked.is_editable)


def replay(call: Call) -> answers.Done:
    """Assert the newest wish of the login again, or accept a rejected message again."""
    return _done(call.parts.letter_actions.replay(**_seen(call), note=call.body.note))


def resolve(call: Call) -> answers.Done:
    """Close the letter without a call."""
    return _done(call.parts.letter_actions.resolve(**_seen(call), note=call.body.note))


def nothing_left(call: Call) -> answers.Done:
    """Resolve a deactivation of a login that Flinks does not have."""
    return _done(call.parts.letter_actions.nothing_left(**_seen(call), note=call.body.note))


def correct(call: Call) -> answers.Done:
    """Correct the loginId or the wish."""
    actions, given = call.parts.letter_actions, call.body
    if (given.login_id is None) == (given.wish is None):
        raise InvalidAction("Give either login_id or wish. Nothing was done.")
    if given.wish is not None:
        return _done(actions.correct_wish(**_seen(call), wish=given.wish, reason=given.reason))
    return _done(actions.correct_login(**_seen(call), login_id=given.login_id, reason=given.reason))


def resubmit(call: Call) -> answers.Done:
    """Accept the corrected text of a rejected message; with the outcome still_invalid nothing was done."""
    done = call.parts.letter_actions.resubmit(**_seen(call), body=call.body.body, reason=call.body.reason)
    return _done(done)


def assign(call: Call) -> answers.Done:
    """Give the letter to a person, or to nobody."""
    return _done(call.parts.letter_actions.assign(**_seen(call), owner=call.body.owner))


def note(call: Call) -> answers.Done:
    """Add a note."""
    return _done(call.parts.letter_actions.note(**_seen(call), note=call.body.note))


def snooze(call: Call) -> answers.Done:
    """Hide the letter from the usual list until a time."""
    return _done(call.parts.letter_actions.snooze(**_seen(call), until_ms=milliseconds(call.body.until)))


def reveal(call: Call) -> answers.Revealed:
    """Return the loginId; the audit log has the reason."""
    login_id = call.parts.letter_actions.reveal(call.path["id"], by=call.by, reason=call.body.reason)
    return answers.Revealed(login_id=login_id)


def show_login(call: Call) -> answers.LoginAnswer:
    """Return one login, and what happened to it."""
    views, reference = call.parts.views, call.path["reference"]
    login = views.login(reference)
    if login is None:
        raise UnknownLogin("The ledger has no login with this reference.")
    now_ms = views.now_ms()
    reason = waiting_reason(login, views.gate(login["instance"]), views.workers(now_ms), now_ms)
    return answers.LoginAnswer(
        login=documents.Login.of(login, waiting_reason=reason),
        timeline=_timeline(call.parts.timeline.of_login(reference, with_addresses=call.sees_addresses)),
    )


def search(call: Call) -> answers.SearchAnswer:
    """Find a login, a letter or a job by any of its ids."""
    results = call.parts.search.find(call.body.text, seconds=SEARCH_SECONDS, after=call.body.after)
    unreadable = [str(error) for error in results.unreadable]
    return answers.SearchAnswer(
        found=[_found(each) for each in results.found], unreadable=unreadable, next=results.next
    )


def _seen(call: Call) -> dict[str, Any]:
    return {"letter_id": call.path["id"], "by": call.by, "version": call.body.version}


def _done(done: Done) -> answers.Done:
    return answers.Done.of(asdict(done))


def _timeline(items: list[TimelineItem]) -> list[answers.TimelineItem]:
    return [answers.TimelineItem.of(asdict(item)) for item in items]


def _found(found: Found) -> answers.FoundItem:
    login, letter = found.login["login"] if found.login else None, found.letter.id if found.letter else None
    return answers.FoundItem(by=found.by, login=login, letter=letter, job=found.job or None)
