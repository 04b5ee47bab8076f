"""`/logins/REFERENCE`: what the ledger has about one login: its wish, why it waits, its timeline and its letters."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker.errors import UnknownLogin
from worker.operations.waiting_reason import waiting_reason
from worker.web.review.parts import Parts
from worker.web.review.rendering import render, utc
from worker.web.review.requests import parts_of
from worker.words import ago

_KINDS = {"waiting": "warn", "in_flight": "info", "applied": "good", "dead_lettered": "bad"}


def show(request: Request) -> Response:
    """Show the login."""
    parts, reference = parts_of(request), request.path_params["reference"]
    login, now_ms = parts.views.login(reference), parts.views.now_ms()
    if login is None:
        raise UnknownLogin("The ledger has no login with this reference.")
    return render(
        request,
        "login.html",
        now_ms=now_ms,
        login=login,
        state={"text": login["state"].replace("_", " "), "kind": _KINDS.get(login["state"], "")},
        why=_why(parts, login, now_ms),
        rows=list(_rows(login, now_ms)),
        items=parts.timeline.of_login(reference),
        letters=parts.letter_pages.of_login(reference),
    )


def _why(parts: Parts, login: Mapping[str, Any], now_ms: int) -> str:
    why = waiting_reason(login, parts.views.gate(login["instance"]), parts.views.workers(now_ms), now_ms)
    return f"{why[:1].upper()}{why[1:]}." if why else ""


def _rows(login: Mapping[str, Any], now_ms: int) -> Iterator[tuple[str, str]]:
    wished_ms = login["occurred_us"] / 1000
    yield "account", login["account_id"] or ""
    yield "instance", login["instance"]
    yield "wish", f"{login['wish']} since {utc(wished_ms)} UTC, {ago(wished_ms, now_ms)}"
    yield "by event", f"{login['event_id']} (revision {login['revision']}, {login['lane']} lane)"
    yield "Flinks has", _confirmed(login, now_ms)
    yield "failures", f"{login['failures']:,} since the last success" if login["failures"] else ""
    yield "next call", f"{utc(login['due_at'])} UTC" if login["due_at"] else ""


def _confirmed(login: Mapping[str, Any], now_ms: int) -> str:
    if login["confirmed_wish"] is None:
        return "confirmed nothing yet"
    at = login["confirmed_at"]
    return f"{login['confirmed_wish']}, confirmed at {utc(at)} UTC, {ago(at, now_ms)}"
