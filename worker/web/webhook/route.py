"""Builds the route `POST /events` from the settings; without a secret in HTTP_EVENTS_SECRETS it answers 404."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from worker.config.settings import Settings
from worker.events.contract import Requirements
from worker.redis_client.error_messages import open_redis
from worker.telemetry.logs import get_logger
from worker.vault.sealed_box import SealingKey
from worker.web.webhook.acceptor import Acceptor
from worker.web.webhook.appender import Appender
from worker.web.webhook.endpoint import Endpoint
from worker.web.webhook.judge import Judge
from worker.web.webhook.problems import Refused
from worker.web.webhook.rate_limit import Allowance

PATH = "/events"
UNNEEDED = ("FLINKS_AUTH_KEY", "FLINKS_INSTANCES", "BROKER_URL")
"""Secrets of the workers. This process faces the internet and needs none of them, so it should not have them."""
FOR_PEOPLE = ("REVIEW_USERS", "REVIEW_TOKENS", "REVIEW_PROXY_USER_HEADER", "REVIEW_OIDC_ISSUER")
"""Settings that open the review page, which needs LOGIN_KEYS to correct or reveal a loginId."""

log = get_logger(__name__)


def way_in(settings: Settings) -> Route:
    """Return the route; with a secret, it needs REDIS_URL, and connects at the first request. Raises SettingsError."""
    keys = settings.webhook_keys()
    if not keys:
        return Route(PATH, Door(_closed))
    _warn(settings)
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    seal_to = SealingKey.parse(settings.seal_to) if settings.seal_to else None
    acceptor = Acceptor(
        {name: Allowance(settings.http_events_per_second, clock=time.monotonic) for name in keys},
        Judge(
            Requirements(max_ahead_seconds=settings.event_max_ahead_seconds, require_sealed=settings.require_sealed),
            seals=seal_to is not None,
        ),
        Appender(open_redis(url, name="nightly-http"), url=url, replicas=settings.intake_replicas),
        seal_to=seal_to,
        clock=time.time,
    )
    return Route(PATH, Door(Endpoint(keys, acceptor).answer))


def _warn(settings: Settings) -> None:
    is_for_people = any(getattr(settings, name.lower()) for name in FOR_PEOPLE)
    names = UNNEEDED if is_for_people else ("LOGIN_KEYS", *UNNEEDED)
    if unneeded := [name for name in names if getattr(settings, name.lower())]:
        log.warning("secrets_not_needed_here", settings=unneeded, reason="this process only appends to the stream")
    if not settings.seal_to:
        log.warning("http_events_not_sealed", reason="SEAL_TO is not set: loginIds are in clear in Redis until intake")


class Door:
    """Calls `answer` for POST, and answers 405 to every other method.

    It is an ASGI application, not a function: Starlette's route then passes all methods on to it.
    """

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
