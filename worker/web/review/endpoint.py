"""The steps of each request to a route.

1. Find out who it is from (access.py).
2. Check that the person has the role that the route needs; before this, nothing of the body is read.
3. If it changes something: check that our own page sent it (forgery.py); read its form (forms.py), and check its token.
4. Run the handler, in a thread; an error becomes a page (errors_shown.py).
5. Set the cookie with the messages for the next page (flash.py).
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
from worker.web.review.forms import MOST_BYTES, NO_FORM, PUBLIC_BYTES, read_form
from worker.web.review.rendering import here

Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]
CLOSED = "Nobody can sign in here yet: set REVIEW_USERS (`nightly users hash` makes a hash), and start the page again."
FORGED = (
    "Nothing was done: this form was not sent from a page of Nightly that is open in this browser, or you have signed "
    "in or out since it was shown. Open the page again, and repeat the action."
)


class Endpoint:
    """One route: its handler, and the role that it needs (None: it is public)."""

    def __init__(self, access: Access, role: str | None, handler: Handler) -> None:
        self._access, self._role, self._handler = access, role, handler

    async def answer(self, request: Request) -> Response:
        """Answer one request; raises nothing."""
        try:
            await self._prepare(request)
            response = await self._refusal(request) or await self._run(request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # the client is gone
        except Exception as error:  # noqa: BLE001 - what every handler may raise; it is logged if it is unexpected
            response = problem_of(request, error)
        self._set_cookies(request, response)
        return response

    async def _prepare(self, request: Request) -> None:
        state, signing = request.state, self._access.signing
        state.user = state.session = state.browser = state.new_visit = None
        state.form, state.flashed, state.messages_shown, state.csrf_token = NO_FORM, [], False, ""
        state.messages = read_flash(request, signing)
        state.user = await run_in_threadpool(self._access.identify, request)
        if state.browser is None:
            state.browser = state.new_visit = new_id()
        state.csrf_token = token_for(signing, state.browser)

    async def _refusal(self, request: Request) -> Response | None:
        """Return the response to a request that the handler must not get; else read the form."""
        user = request.state.user
        if self._role and user is None:
            return self._ask_to_sign_in(request)
        if self._role and not user.may(self._role):
            text = f"This needs the role {self._role}; {user.name} is {user.role}. Nothing was done."
            return problem(request, HTTPStatus.FORBIDDEN, text)
        if request.method in SAFE_METHODS:
            return None
        if not is_from_here(request.headers):
            return problem(request, HTTPStatus.FORBIDDEN, FORGED)
        request.state.form = form = await read_form(request, most_bytes=MOST_BYTES if user else PUBLIC_BYTES)
        token = request.headers.get(HEADER) or form.get(FIELD, "")
        if request.state.new_visit or not is_token(self._access.signing, request.state.browser, token):
            return problem(request, HTTPStatus.FORBIDDEN, FORGED)
        return None

    def _ask_to_sign_in(self, request: Request) -> Response:
        if self._access.is_closed:
            return problem(request, HTTPStatus.UNAUTHORIZED, CLOSED)
        target = "/sign-in?" + urlencode({"next": here(request)})
        if is_api(request) or request.method not in SAFE_METHODS:
            text = "Sign in first; nothing was done."
            return problem(request, HTTPStatus.UNAUTHORIZED, text, headers={"hx-redirect": "/sign-in"})
        if "hx-request" in request.headers:  # a part of a page: the whole page has to go
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"hx-redirect": "/sign-in"})
        return RedirectResponse(target, status_code=HTTPStatus.SEE_OTHER)

    async def _run(self, request: Request) -> Response:
        handler = self._handler
        if inspect.iscoroutinefunction(handler):
            response: Response = await handler(request)
            return response
        return await run_in_threadpool(handler, request)  # type: ignore[arg-type] # it is not a coroutine function

    def _set_cookies(self, request: Request, response: Response) -> None:
        write_flash(request, response, self._access.signing)
        # Only a page with a form needs the cookie.
        if request.state.new_visit and request.state.messages_shown:
            set_cookie(response, VISIT, self._access.signing.sign(VISIT, request.state.new_visit))
