"""Every route of the page: method, path, the least role that may use it (None: public), and its handler."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.routing import BaseRoute, Route

from worker.web.review.access import Access
from worker.web.review.api import openapi
from worker.web.review.api.call import handler_of
from worker.web.review.api.table import API_ROWS, PREFIX
from worker.web.review.endpoint import Endpoint, Handler
from worker.web.review.pages import audit, bulk, groups, health, letter, letters, login, operations, sign_in
from worker.web.review.single_sign_on import CALLBACK
from worker.web.review.static_files import serve_static


class Row(NamedTuple):
    """One route."""

    method: str
    path: str
    role: str | None
    handler: Handler
    is_plain: bool = False
    """The handler is called at once: nobody is identified, and there is no form."""


ROUTES: Sequence[Row] = (
    Row("GET", "/", "viewer", groups.show),
    Row("POST", "/groups/acknowledge", "operator", groups.acknowledge),
    Row("POST", "/groups/mute", "operator", groups.mute),
    Row("POST", "/groups/reopen", "operator", groups.reopen),
    Row("POST", "/groups/assign", "operator", groups.assign),
    Row("GET", "/letters", "viewer", letters.show),
    Row("POST", "/letters/search", "viewer", letters.search),
    Row("GET", "/letters/{id}", "viewer", letter.show),
    Row("POST", "/letters/{id}/replay", "operator", letter.replay),
    Row("POST", "/letters/{id}/resolve", "operator", letter.resolve),
    Row("POST", "/letters/{id}/nothing-left", "operator", letter.nothing_left),
    Row("POST", "/letters/{id}/correct", "operator", letter.correct),
    Row("POST", "/letters/{id}/resubmit", "operator", letter.resubmit),
    Row("POST", "/letters/{id}/assign", "operator", letter.assign),
    Row("POST", "/letters/{id}/note", "operator", letter.note),
    Row("POST", "/letters/{id}/snooze", "operator", letter.snooze),
    Row("POST", "/letters/{id}/reveal", "admin", letter.reveal),
    Row("GET", "/logins/{reference}", "viewer", login.show),
    Row("GET", "/operations", "viewer", operations.show),
    Row("POST", "/operations/gates/{instance}/open", "operator", operations.open_gate),
    Row("POST", "/operations/gates/{instance}/close", "operator", operations.close_gate),
    Row("POST", "/operations/backfills/{id}/pause", "operator", operations.pause_backfill),
    Row("POST", "/operations/backfills/{id}/resume", "operator", operations.resume_backfill),
    Row("POST", "/operations/backfills/{id}/cancel", "operator", operations.cancel_backfill),
    Row("GET", "/bulk", "viewer", bulk.show_all),
    Row("POST", "/bulk", "operator", bulk.prepare),
    Row("GET", "/bulk/{id}", "viewer", bulk.show),
    Row("GET", "/bulk/{id}/report.csv", "viewer", bulk.report),
    Row("POST", "/bulk/{id}/count", "operator", bulk.count),
    Row("POST", "/bulk/{id}/run", "operator", bulk.run),
    Row("POST", "/bulk/{id}/pause", "operator", bulk.pause),
    Row("POST", "/bulk/{id}/resume", "operator", bulk.resume),
    Row("POST", "/bulk/{id}/cancel", "operator", bulk.cancel),
    Row("GET", "/audit", "operator", audit.show),
    Row("GET", "/audit/verify", "operator", audit.verify),
    Row("GET", "/audit/export", "admin", audit.export),
    Row("GET", "/sign-in", None, sign_in.show),
    Row("POST", "/sign-in", None, sign_in.sign_in),
    Row("GET", "/sign-in/once", None, sign_in.sign_in_once),
    Row("GET", "/sign-in/oidc", None, sign_in.sign_on),
    Row("GET", CALLBACK, None, sign_in.sign_on_done),
    Row("POST", "/sign-out", "viewer", sign_in.sign_out),
    Row("GET", "/health", None, health.show, is_plain=True),
    Row("GET", "/static/{name}", None, serve_static, is_plain=True),
    Row("GET", f"{PREFIX}/openapi.json", "viewer", openapi.serve),
    *(Row(row.method, PREFIX + row.path, row.role, handler_of(row.act, row.body)) for row in API_ROWS),
)


def build_routes(access: Access, rows: Sequence[Row] = ROUTES) -> list[BaseRoute]:
    """Return the routes for Starlette."""
    return [Route(row.path, _handler(access, row), methods=[row.method]) for row in rows]


def _handler(access: Access, row: Row) -> Handler:
    return row.handler if row.is_plain else Endpoint(access, row.role, row.handler).answer
