"""Builds the way in from the settings, open where HTTP_EVENTS_SECRETS names a secret, else a closed door."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import redis
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from worker.ingress.allowance import Allowance
from worker.ingress.endpoint import Desk
from worker.ingress.recorder import Recorder
from worker.ingress.refusals import Refused
from worker.redis_trouble import trouble_of
from worker.services import build_services
from worker.settings import Settings
from worker.telemetry.logs import get_logger

PATH = "/events"
NEEDED = ("REDIS_URL", "LOGIN_KEYS")

log = get_logger(__name__)


def way_in(settings: Settings) -> Route:
    """Return the route; needs NEEDED where it is open. Raises LedgerMismatch; a Redis that is away is no reason."""
    keys = settings.webhook_keys()
    if not keys:
        return Route(PATH, Door(_closed))
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    recorder = Recorder(build_services(settings, name="nightly-http"), url=url)
    try:
        recorder.check_ledger()
    except redis.RedisError as error:
        log.warning("ledger_unreachable", reason=trouble_of(error, url).what)
    allowance = Allowance(settings.http_events_per_second, clock=time.monotonic)
    return Route(PATH, Door(Desk(keys, recorder, allowance).answer))


class Door:
    """Lets POST through to `answer`. As an application, its route takes every method, so that none falls through."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer = self._answer if request.method == "POST" else _wrong_method
        await (await answer(request))(scope, receive, send)


async def _wrong_method(_: Request) -> Response:
    refused = Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", "events are sent by POST", headers={"allow": "POST"})
    return refused.response()


async def _closed(_: Request) -> Response:
    return Refused(HTTPStatus.NOT_FOUND, "closed", "HTTP_EVENTS_SECRETS is not set here").response()
