"""`/letters/ID`: one dead letter: its cause, what a replay would do now, its timeline, and the actions on it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worker.errors import NightlyError
from worker.ledger.dead_letters import Letter
from worker.ledger.letter_filter import LetterFilter
from worker.operations.advice import letter_advice
from worker.operations.letter_actions import LetterActions
from worker.operations.letter_corrections import Done
from worker.operations.rejected_messages import FieldReason
from worker.web.review.flash import flash
from worker.web.review.letter_view import Body, can_have_nothing_left, done_text, facts, outlook
from worker.web.review.pages.login import read_login_state
from worker.web.review.parts import Parts
from worker.web.review.redirects import back
from worker.web.review.rendering import render, utc, utc_input
from worker.web.review.requests import BadField, actor_of, moment_of, number_of, parts_of, sees_addresses, text_of
from worker.web.review.reveals import end_permission, may_show, permit_reveal

DAY_MS = 86_400_000


def show(request: Request) -> Response:
    """Show the letter; after a reveal, with its loginId, once."""
    letter_id = request.path_params["id"]
    if not may_show(request, letter_id):
        return _page(request)
    response = _page(request, revealed=_actions(request).login_id_of_revealed(letter_id))
    end_permission(response)
    return response


def replay(request: Request) -> Response:
    """Assert the newest wish of the login again, or accept a rejected message again."""
    done = _actions(request).replay(**_seen(request))
    if done.outcome != "still_invalid":
        return _done(request, done)
    return _page(request, HTTPStatus.BAD_REQUEST, reasons=done.reasons)


def resolve(request: Request) -> Response:
    """Close the letter without a call."""
    return _done(request, _actions(request).resolve(**_seen(request), note=text_of(request, "note")))


def nothing_left(request: Request) -> Response:
    """Resolve a deactivation of a login that Flinks does not have."""
    return _done(request, _actions(request).nothing_left(**_seen(request)))


def correct(request: Request) -> Response:
    """Correct the loginId or the wish."""
    actions, reason, wish = _actions(request), text_of(request, "reason"), text_of(request, "wish")
    login_id = request.state.form.get("login_id", "")
    if bool(wish) == bool(login_id):
        raise BadField("Give a new loginId or a new wish, one of the two. Nothing was done.")
    if wish:
        return _done(request, actions.correct_wish(**_seen(request), wish=wish, reason=reason))
    return _done(request, actions.correct_login(**_seen(request), login_id=login_id, reason=reason))


def resubmit(request: Request) -> Response:
    """Accept the corrected text of a rejected message; if it is still invalid, show the reasons and change nothing."""
    body = request.state.form.get("body", "").replace("\r\n", "\n")
    done = _actions(request).resubmit(**_seen(request), body=body, reason=text_of(request, "reason"))
    if done.outcome != "still_invalid":
        return _done(request, done)
    # The text that was typed may hold a loginId, so it is not sent back.
    return _page(request, HTTPStatus.BAD_REQUEST, reasons=done.reasons)


def assign(request: Request) -> Response:
    """Give the letter to a person, or to nobody."""
    owner = text_of(request, "owner")
    done = _actions(request).assign(**_seen(request), owner=owner)
    return _done(request, done, f"The letter is {owner}'s now." if owner else "The letter has no owner now.")


def note(request: Request) -> Response:
    """Add a note."""
    done = _actions(request).note(**_seen(request), note=text_of(request, "note"))
    return _done(request, done, "The note is added.")


def snooze(request: Request) -> Response:
    """Hide the letter from the usual list until a time; without a time, show it again."""
    until_ms = moment_of(request, "until") if text_of(request, "until") else None
    done = _actions(request).snooze(**_seen(request), until_ms=until_ms)
    return _done(request, done, f"Snoozed until {utc(until_ms)} UTC." if until_ms else "It is in the list again.")


def reveal(request: Request) -> Response:
    """Note the reveal in the audit log, and have the letter's next page show the loginId."""
    letter_id = request.path_params["id"]
    _actions(request).reveal(letter_id, by=actor_of(request), reason=text_of(request, "reason"))
    response = RedirectResponse(_path(letter_id), status_code=HTTPStatus.SEE_OTHER)
    permit_reveal(request, response, letter_id)
    return response


def _path(letter_id: str) -> str:
    return f"/letters/{quote(letter_id, safe='')}"


def _actions(request: Request) -> LetterActions:
    return parts_of(request).letter_actions


def _seen(request: Request) -> dict[str, Any]:
    """Return which letter the person acts on, who that is, and which version of it was on the screen."""
    return {"letter_id": request.path_params["id"], "by": actor_of(request), "version": number_of(request, "version")}


def _done(request: Request, done: Done, text: str = "") -> Response:
    flash(request, f"{done.letter_id}: {text or done_text(done)}")
    return back(request, f"/letters/{done.letter_id}")


def _page(
    request: Request, status: int = HTTPStatus.OK, *, reasons: Sequence[FieldReason] = (), revealed: str = ""
) -> Response:
    parts = parts_of(request)
    letter, now_ms = parts.letters.get(request.path_params["id"]), parts.views.now_ms()
    preview = parts.letter_actions.preview(letter.id)
    group = LetterFilter.of_group(letter.instance, letter.code, letter.wish)
    return render(
        request,
        "letter.html",
        status,
        now_ms=now_ms,
        here=_path(letter.id),  # also in the response to a form
        letter=letter,
        outlook=outlook(preview),
        advice=letter_advice(letter.code, letter.wish),
        has_nothing_left=can_have_nothing_left(letter),
        group_href=f"/letters?{urlencode(group.to_query())}",
        next_id=_next_id(parts, letter, group),
        state=read_login_state(parts, letter.login, now_ms),
        items=parts.timeline.of_letter(letter, with_addresses=sees_addresses(request)),
        rows=facts(letter),
        revealed=revealed,
        body=_body(parts, letter, reasons or preview.reasons),
        was_refused=bool(reasons),
        next_day=utc_input(now_ms + DAY_MS),
    )


def _next_id(parts: Parts, letter: Letter, group: LetterFilter) -> str:
    """Return the open letter of the group that was filed before this one, to go on with; empty if there is none."""
    found = parts.letter_pages.page(group, after=f"{letter.created_at}.{letter.id}", size=1).letters
    return found[0].id if found else ""


def _body(parts: Parts, letter: Letter, reasons: Sequence[FieldReason]) -> Body | None:
    """Return the rejected message of a letter; None if it is about a login."""
    if letter.kind != "message":
        return None
    found = reasons or parts.letter_actions.reasons(letter)
    if letter.status != "open":
        return Body(found, problem="The message was deleted when the letter was closed.")
    try:
        masked = parts.letter_actions.masked_body(letter.id)
    except NightlyError as error:
        return Body(found, problem=str(error).removesuffix(" Nothing was done."))
    return Body(found, text=masked.text, is_editable=masked.is_editable)
