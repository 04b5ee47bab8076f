"""Builds the web application of the review page, beside which `POST /events` is served."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from worker.config.settings import Settings
from worker.ledger.sessions import Sessions
from worker.web.review.access import Access
from worker.web.review.cookies import Signing
from worker.web.review.parts import Parts
from worker.web.review.password_sign_in import PasswordSignIn
from worker.web.review.routes import ROUTES, Row, build_routes
from worker.web.review.security_headers import WithHeaders
from worker.web.review.users import parse_users

HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def create_app(
    parts: Parts, *, beside: Sequence[BaseRoute] = (), rows: Sequence[Row] = ROUTES, access: Access | None = None
) -> ASGIApp:
    """Return the application; raises SettingsError. Without a way to sign in, only the public routes are open."""
    access = access or build_access(parts)
    app = Starlette(routes=[*beside, *build_routes(access, rows)], exception_handlers={HTTPException: _refuse})
    app.state.parts, app.state.access = parts, access
    return WithHeaders(app)


def build_access(parts: Parts) -> Access:
    """Return the ways in that the settings name; raises SettingsError."""
    settings = parts.settings
    users = parse_users(settings.review_users.get_secret_value() if settings.review_users else "")
    sessions = Sessions(parts.client, idle_ms=30 * MINUTE_MS, longest_ms=12 * HOUR_MS)
    return Access(users=users, signing=Signing(_secret(settings)), sessions=sessions, passwords=PasswordSignIn(users))


def _secret(settings: Settings) -> bytes | None:
    return settings.login_keys.get_secret_value().encode() if settings.login_keys else None


def _refuse(_: Request, error: Exception) -> Response:
    """Answer a path or a method that no route has. It says nothing that the public source code does not say."""
    if not isinstance(error, HTTPException):
        raise error
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
