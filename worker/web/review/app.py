"""The web application of the review page: read-only GET routes, for the users in REVIEW_USERS.

Only `/health` needs no log-in, and it says only whether Redis answers. Every response forbids scripts, frames, caching
and referrers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.config.settings import Settings
from worker.errors import UnknownLetter
from worker.ledger.dead_letters import Letter, Letters
from worker.ledger.queries import Views
from worker.operations.waiting import read_state
from worker.redis_client.connect import BytesRedis
from worker.web.review.page import STYLE_HASH, plain_page, review_page
from worker.web.review.password_checks import TooManyChecks
from worker.web.review.users import Doorkeeper, User

NEWEST = 100
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ASK = {"www-authenticate": 'Basic realm="Nightly", charset="UTF-8"'}
_AWAY = "Redis does not answer. This page tries again automatically; run `nightly doctor` on the server for details."


def create_app(
    client: BytesRedis, settings: Settings, users: Mapping[str, User], *, beside: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """Return the application. Without users, it answers 401 on all routes except `/health` and those in `beside`."""
    doorkeeper = Doorkeeper(users)
    pages = _Pages(client, settings, doorkeeper)
    routes = [
        *beside,
        Route("/", _guarded(doorkeeper, pages.page)),
        Route("/status.json", _guarded(doorkeeper, pages.status)),
        Route("/health", pages.health),
        Route("/{path:path}", _guarded(doorkeeper, _nothing_here)),
    ]
    return _WithHeaders(Starlette(routes=routes))


class _Pages:
    """The handlers of the routes. Those that block on Redis run in threads."""

    def __init__(self, client: BytesRedis, settings: Settings, doorkeeper: Doorkeeper) -> None:
        self._redis = client
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._views = Views(client)
        self._letters = Letters(client)

    def page(self) -> Response:
        try:
            status, groups, newest = self._state(), self._letters.groups(), self._newest()
            return HTMLResponse(review_page(status, groups, newest, self._views.now_ms()))
        except redis.RedisError:
            return HTMLResponse(plain_page("Redis does not answer", _AWAY, refreshes=True), status_code=503)

    def status(self) -> Response:
        try:
            logins = {"failed": self._doorkeeper.failed, "turned_away": self._doorkeeper.turned_away}
            return JSONResponse({"at": self._views.now_ms(), "logins": logins, **self._state()})
        except redis.RedisError:
            return JSONResponse({"error": "Redis does not answer"}, status_code=503)

    def _state(self) -> dict[str, Any]:
        return read_state(self._redis, self._settings)

    async def health(self, _: Request) -> Response:
        try:
            await run_in_threadpool(self._redis.ping)
        except redis.RedisError:
            return PlainTextResponse("Redis does not answer\n", status_code=503)
        return PlainTextResponse("ok\n")

    def _newest(self) -> list[Letter]:
        letters = []
        for letter_id in self._redis.zrevrange("nightly:letters:open", 0, NEWEST - 1):
            try:
                letters.append(self._letters.get(letter_id.decode()))
            except UnknownLetter:  # closed and deleted between the two reads
                continue
        return letters


def _nothing_here() -> Response:
    return HTMLResponse(plain_page("Not found", "There is nothing here."), status_code=404)


def _guarded(doorkeeper: Doorkeeper, show: Callable[[], Response]) -> Any:
    async def endpoint(request: Request) -> Response:
        try:
            address = request.client.host if request.client else ""
            user = await doorkeeper.admit(request.headers.get("authorization", ""), address)
        except TooManyChecks:
            page = plain_page("Too many log-ins at once", "This page tries again automatically.", refreshes=True)
            return HTMLResponse(page, status_code=429, headers={"retry-after": "5"})
        if user is None:
            page = plain_page("Closed", "Log in as a user of REVIEW_USERS; `nightly users hash` makes a password hash.")
            return HTMLResponse(page, status_code=401, headers=_ASK)
        return await run_in_threadpool(show)

    return endpoint


class _WithHeaders:
    """Adds HEADERS to every response, including errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)
