"""Builds the web application of the review page, beside which `POST /events` is served."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from worker.web.review.access import Access
from worker.web.review.parts import Parts
from worker.web.review.routes import ROUTES, Row, build_routes
from worker.web.review.security_headers import WithHeaders
from worker.web.review.ways_in import build_access


def create_app(
    parts: Parts, *, beside: Sequence[BaseRoute] = (), rows: Sequence[Row] = ROUTES, access: Access | None = None
) -> ASGIApp:
    """Return the application; raises SettingsError. Without a way to sign in, only the public routes are open."""
    access = access or build_access(parts.client, parts.settings)
    app = Starlette(routes=[*beside, *build_routes(access, rows)], exception_handlers={HTTPException: _refuse})
    app.router.redirect_slashes = False  # it redirects to the host that the client names, with the scheme of this hop
    app.state.parts, app.state.access = parts, access
    return WithHeaders(app)


def _refuse(_: Request, error: Exception) -> Response:
    """Answer a path or a method that no route has. It says nothing that the public source code does not say."""
    if not isinstance(error, HTTPException):
        raise error
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
