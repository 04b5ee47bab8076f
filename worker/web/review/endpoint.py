"""The steps of each request to a route.

1. Find out who it is from (access.py).
2. Check that the person has the role that the route needs; before this, nothing of the body is read.
3. If it changes something: check that our own page sent it (forgery.py); read its form, or for the API its body
   (forms.py); check its token.
4. If it changes something: check that it is the ledger of these settings (parts.py). Run the handler, in a thread; an
   error becomes a page (errors_shown.py).
5. Set the cookie with the messages for the next page (flash.py), and delete that of a reveal (reveals.py).
"""

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from worker.web.review.access import Access
from worker.web.review.cookies import VISIT, new_id, set_cookie
from worker.web.review.errors_shown import is_api, problem, problem_of
from worker.web.review.flash import read_flash, write_flash
from worker.web.review.forgery import FIELD, HEADER, SAFE_METHODS, is_from_here, is_token, token_for
from worker.web.review.forms import MOST_BYTES, NO_FORM, PUBLIC_BYTES, read_body, read_form
from worker.web.review.rendering import here
from worker.web.review.reveals import forget_shown

Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]
CHANGING_ROLES = frozenset({"operator", "admin"})
CLOSED = "Nobody can sign in here yet: set REVIEW_USERS (`nightly users hash` makes a hash), and start the page again."
FORGED = (
    "Nothing was done: this form was not sent from a page of Nightly that is open in this browser, or you have signed "
    "in or out since it was shown. Open the page again, and repeat the action."
)
FOREIGN_LINK = "Nothing was exported: a page of another site led here. Open the audit log, and export it from there."
NO_COOKIE = (
    "Nothing was done: this browser sent no cookie of Nightly. Browsers keep it only from pages over HTTPS, or from "
    "http://127.0.0.1 and http://localhost; some refuse it even from there. Open such an address, and sign in."
)


class Endpoint:
    """One route: its handler, and the role that it needs (None: it is public)."""

    def __init__(self, access: Access, role: str | None, handler: Handler) -> None:
        self._access, self._role, self._handler = access, role, handler

    async def answer(self, request: Request) -> Response:
        """Answer one request; raises nothing."""
        try:
            await self._prepare(request)
            response = self._refusal(request) or await self._read_body(request) or await self._run(request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # the client is gone
        except Exception as error:  # noqa: BLE001 - what every handler may raise; it is logged if it is unexpected
            response = problem_of(request, error)
        self._set_cookies(request, response)
        return response

    async def _prepare(self, request: Request) -> None:
        state, signing = request.state, self._access.signing
        state.user = state.session = state.browser = state.new_visit = None
        state.form, state.body, state.csrf_token = NO_FORM, b"", ""
        state.flashed, state.messages_shown = [], False
        state.messages = read_flash(request, signing)
        state.user = self._access.from_headers(request)
        has_token = is_api(request) and "authorization" in request.headers
        if state.user is None and not has_token:
            state.user, state.session = await run_in_threadpool(self._access.from_session, request) or (None, None)
        state.browser = state.session or self._access.visit_of(request)
        if state.browser is None:
            state.browser = state.new_visit = new_id()
        state.csrf_token = token_for(signing, state.browser)

    def _refusal(self, request: Request) -> Response | None:
        """Return the response to a person who may not use this route."""
        user = request.state.user
        if self._role is None:
            return None
        if user is None:
            return self._ask_to_sign_in(request)
        if user.may(self._role):
            return self._foreign_export(request)
        text = f"This needs the role {self._role}; {user.name} has {user.role or 'none'}. Nothing was done."
        return problem(request, HTTPStatus.FORBIDDEN, text)

    def _foreign_export(self, request: Request) -> Response | None:
        """Refuse an export that a link on another site asks for: it would be an entry in the person's name."""
        if self._role != "admin" or request.state.user.how == "token" or is_from_here(request.headers):
            return None
        return problem(request, HTTPStatus.FORBIDDEN, FOREIGN_LINK)

    async def _read_body(self, request: Request) -> Response | None:
        """Read the form, for the API the body, of a request that changes something; refuse one that may be forged."""
        state = request.state
        if request.method in SAFE_METHODS:
            return None
        has_token = state.user is not None and state.user.how == "token"  # no browser adds one
        if not has_token and not is_from_here(request.headers):
            return problem(request, HTTPStatus.FORBIDDEN, FORGED)
        most_bytes = MOST_BYTES if state.user else PUBLIC_BYTES
        if is_api(request):
            state.body = await read_body(request, most_bytes=most_bytes)
        else:
            state.form = await read_form(request, most_bytes=most_bytes)
        return None if has_token else self._forgery(request)

    def _forgery(self, request: Request) -> Response | None:
        """Return the refusal of a form whose token is not that of this browser."""
        token = request.headers.get(HEADER) or request.state.form.get(FIELD, "")
        if request.state.new_visit:
            return problem(request, HTTPStatus.FORBIDDEN, NO_COOKIE)
        is_ours = is_token(self._access.signing, request.state.browser, token)
        return None if is_ours else problem(request, HTTPStatus.FORBIDDEN, FORGED)

    def _ask_to_sign_in(self, request: Request) -> Response:
        if self._access.is_closed:
            return problem(request, HTTPStatus.UNAUTHORIZED, CLOSED)
        target = "/sign-in?" + urlencode({"next": here(request)})
        if is_api(request) or request.method not in SAFE_METHODS:
            text = "Sign in first; nothing was done."
            headers = {"www-authenticate": 'Bearer realm="Nightly"'} if is_api(request) else {"hx-redirect": "/sign-in"}
            return problem(request, HTTPStatus.UNAUTHORIZED, text, headers=headers)
        if "hx-request" in request.headers:  # a part of a page: the whole page has to go
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"hx-redirect": "/sign-in"})
        return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)

    async def _run(self, request: Request) -> Response:
        handler = self._handler
        if request.method not in SAFE_METHODS and self._role in CHANGING_ROLES:
            await run_in_threadpool(request.app.state.parts.check_ledger)
        if inspect.iscoroutinefunction(handler):
            response: Response = await handler(request)
            return response
        return await run_in_threadpool(handler, request)  # type: ignore[arg-type] # it is not a coroutine function

    def _set_cookies(self, request: Request, response: Response) -> None:
        write_flash(request, response, self._access.signing)
        forget_shown(request, response)
        # Only a page with a form needs the cookie.
        if request.state.new_visit and request.state.messages_shown:
            set_cookie(response, VISIT, self._access.signing.sign(VISIT, request.state.new_visit))
