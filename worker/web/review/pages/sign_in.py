"""`/sign-in` and `/sign-out`: a name and a password, or a link that works once, become a session with a new id."""

from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urlencode

import redis
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worker.errors import NightlyError
from worker.ledger.audit import Deed
from worker.telemetry.logs import get_logger
from worker.web.review.access import Access
from worker.web.review.cookies import FLOW, SESSION, VISIT, delete_cookie, set_cookie
from worker.web.review.endpoint import CLOSED
from worker.web.review.errors_shown import problem
from worker.web.review.flash import flash
from worker.web.review.forgery import is_from_here
from worker.web.review.identity import Person
from worker.web.review.password_checks import TooManyChecks
from worker.web.review.redirects import back, safe_path
from worker.web.review.rendering import render
from worker.web.review.single_sign_on import SignOnFailed, SingleSignOn
from worker.web.review.users import User

log = get_logger(__name__)

WRONG = "Name or password is wrong."
BUSY = "Too many people are signing in at once. Wait a few seconds, and sign in again."
NO_SIGN_ON = "Single sign-on is not set up here. Sign in with your name and password."
BY_PROXY = "Open Nightly through your company's proxy: it signs you in."
ONLY_PROGRAMS = "Only programs can use Nightly here, with a token. Ask an administrator to set REVIEW_USERS."
NO_ROLE = (
    "{name} has no role here: none of the groups is in REVIEW_ROLES, or the name is that of another user. Ask an "
    "administrator of Nightly."
)
NO_FLOW = "This browser did not start this sign-in, or it took too long. Sign in again."
USED = "This link is not valid any more: it works once, and only for a short time. Sign in with your name and password."


def show(request: Request) -> Response:
    """Show the form."""
    if request.state.user:
        return RedirectResponse(_next(request), status_code=HTTPStatus.SEE_OTHER)
    return _form(request, "")


async def sign_in(request: Request) -> Response:
    """Check name and password."""
    access: Access = request.app.state.access
    form, address = request.state.form, access.proxy.address_of(request)
    try:
        user = await access.passwords.check(form.get("name", ""), form.get("password", ""), address)
    except TooManyChecks:
        return await run_in_threadpool(_form, request, BUSY, HTTPStatus.TOO_MANY_REQUESTS)
    if user is None:
        return await run_in_threadpool(_form, request, WRONG, HTTPStatus.UNAUTHORIZED)
    return await run_in_threadpool(_enter_user, request, user, "password", back(request))


def sign_in_once(request: Request) -> Response:
    """Sign in the person whom the link names; a preview, or a link on another site, does not use it up."""
    access: Access = request.app.state.access
    is_preview = "prefetch" in request.headers.get("sec-purpose", "") or request.method != "GET"
    if is_preview or not is_from_here(request.headers):
        return _form(request, USED, HTTPStatus.FORBIDDEN)
    name = access.sessions.use_link(request.query_params.get("token", ""))
    user = access.users.get(name) if name else None
    if user is None:
        return _form(request, USED, HTTPStatus.UNAUTHORIZED)
    return _enter_user(request, user, "link", RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER))


def sign_out(request: Request) -> Response:
    """End the session."""
    person: Person = request.state.user
    if request.state.session is None:
        flash(request, "Your company's proxy has signed you in: sign out there.", "wrong")
        return back(request)
    request.app.state.access.sessions.end(request.state.session)
    try:
        request.app.state.parts.audit.append(Deed(person.actor, "session.end", person.name))
    except (redis.RedisError, NightlyError) as error:  # a full Redis must not keep a person signed in
        log.warning("sign_out_not_audited", user=person.name, error=type(error).__name__)
    response = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    delete_cookie(response, SESSION)
    flash(request, "You have signed out.")
    return response


def sign_on(request: Request) -> Response:
    """Send the browser to the identity provider."""
    access: Access = request.app.state.access
    if access.oidc is None or request.method != "GET":
        return _form(request, NO_SIGN_ON, HTTPStatus.NOT_FOUND)
    try:
        url, flow = access.oidc.start(_next(request))
    except SignOnFailed as error:
        return _form(request, str(error), HTTPStatus.SERVICE_UNAVAILABLE)
    response = RedirectResponse(url, status_code=HTTPStatus.SEE_OTHER)
    set_cookie(response, FLOW, access.signing.sign(FLOW, flow))
    return response


def sign_on_done(request: Request) -> Response:
    """Sign in the person whom the identity provider has confirmed to this browser."""
    access: Access = request.app.state.access
    flow = access.signing.text_of(FLOW, request.cookies.get(FLOW, ""))
    if access.oidc is None or flow is None or request.method != "GET":
        return _form(request, NO_FLOW, HTTPStatus.FORBIDDEN)
    response = _finish(request, access, access.oidc, flow)
    delete_cookie(response, FLOW)
    return response


def _finish(request: Request, access: Access, oidc: SingleSignOn, flow: str) -> Response:
    try:
        person, target = oidc.finish(request.query_params, flow)
    except SignOnFailed as error:
        return _form(request, str(error), HTTPStatus.FORBIDDEN)
    # The name of a user must mean one person in the audit log.
    if not person.role or person.name in access.users:
        return _form(request, NO_ROLE.format(name=person.name), HTTPStatus.FORBIDDEN)
    response = RedirectResponse(safe_path(target), status_code=HTTPStatus.SEE_OTHER)
    return _enter(request, person, oidc.entry, response)


def _enter_user(request: Request, user: User, how: str, response: Response) -> Response:
    return _enter(request, Person(user.name, user.role, how=how), user.entry, response)


def _enter(request: Request, person: Person, entry: str, response: Response) -> Response:
    """Open a session with a new id; whatever session the browser had is over."""
    access: Access = request.app.state.access
    if request.state.session:
        access.sessions.end(request.state.session)
    person = replace(person, address=access.proxy.address_of(request))
    detail = {"how": person.how} | ({"subject": person.subject} if person.subject else {})
    deed = Deed(person.actor, "session.open", person.name, detail=detail)
    request.app.state.parts.audit.append(deed)
    set_cookie(response, SESSION, access.signing.sign(SESSION, access.open_session(person, entry)))
    delete_cookie(response, VISIT)
    return response


def _form(request: Request, wrong: str, status: int = HTTPStatus.OK) -> Response:
    access: Access = request.app.state.access
    if access.is_closed:
        return problem(request, HTTPStatus.UNAUTHORIZED, CLOSED)
    headers = {"retry-after": "5"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    target = _next(request)
    response = render(
        request,
        "sign_in.html",
        status,
        problem=wrong,
        target=target,
        has_passwords=bool(access.users),
        other_way=BY_PROXY if access.proxy.user_header else ONLY_PROGRAMS,
        sign_on_url=f"/sign-in/oidc?{urlencode({'next': target})}" if access.oidc else "",
    )
    response.headers.update(headers)
    return response


def _next(request: Request) -> str:
    return safe_path(request.state.form.get("next") or request.query_params.get("next", ""))
