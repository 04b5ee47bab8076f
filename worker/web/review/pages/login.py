"""`/logins/REFERENCE`: what the ledger has about one login: its wish, why it waits, its timeline and its letters."""

from starlette.requests import Request
from starlette.responses import Response

from worker.errors import UnknownLogin, Unreadable
from worker.web.review.login_view import LoginState, login_facts, login_state
from worker.web.review.parts import Parts
from worker.web.review.rendering import render
from worker.web.review.requests import parts_of, sees_addresses


def show(request: Request) -> Response:
    """Show the login."""
    parts, reference = parts_of(request), request.path_params["reference"]
    login, now_ms = parts.views.login(reference), parts.views.now_ms()
    state = read_login_state(parts, reference, now_ms)
    if login is None or state is None:
        raise UnknownLogin("The ledger has no login with this reference.")
    unreadable: list[Unreadable] = []
    letters = parts.letter_pages.of_login(reference, on_unreadable=unreadable.append)
    return render(
        request,
        "login.html",
        now_ms=now_ms,
        login=login,
        state=state,
        rows=list(login_facts(login)),
        items=parts.timeline.of_login(reference, with_addresses=sees_addresses(request)),
        letters=letters,
        unreadable=unreadable,
    )


def read_login_state(parts: Parts, reference: str, now_ms: int) -> LoginState | None:
    """Return what a login does now; None: the ledger does not have it."""
    login = parts.views.login(reference) if reference else None
    if login is None:
        return None
    return login_state(login, parts.views.gate(login["instance"]), parts.views.workers(now_ms), now_ms)
