"""The life of a request to `POST /events`.

1. Its media type says how it holds events; the body is read, up to a limit and a deadline.
2. Its signature is valid and recent. Nothing of the body is parsed before.
3. If it was accepted before, that answer is repeated, and nothing else happens.
4. In a thread: it is taken apart into events, and each is judged by the contract; they are charged to their sender's
   allowance, sealed to the workers' public key, and appended to the stream as one entry.
5. 202 says that Redis has them. Anything else says that it has none of them, or may have all (503).

Workers block on the stream, so the calls begin at once. What only they can know, they judge.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from worker.telemetry.logs import get_logger
from worker.web.webhook.acceptor import Acceptor
from worker.web.webhook.body import Bodies
from worker.web.webhook.cloudevents import Mode, attributes_of, mode_of, signed_content
from worker.web.webhook.problems import Refused
from worker.web.webhook.refusal_log import RefusalLog
from worker.web.webhook.repeats import Accepted
from worker.web.webhook.signature import BadSignature, verify

EACH_AT_ONCE = 50
"""Requests in hand of one sender; each may hold a body of a mebibyte."""
EACH_IN_THREADS = 4
"""Of these, the requests that are worked on. More would not be faster, and would take the processor from others."""
_CHALLENGE = {"www-authenticate": 'Webhook-Signature realm="Nightly"'}

log = get_logger(__name__)


class Endpoint:
    """Answers requests, for senders that hold one of `keys`."""

    def __init__(
        self, keys: Mapping[str, bytes], acceptor: Acceptor, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._acceptor = acceptor
        self._bodies = Bodies()
        self._accepted = Accepted()
        self._refusals = RefusalLog()
        self._clock = clock
        self._in_hand = dict.fromkeys(keys, 0)
        self._turns = {sender: asyncio.Semaphore(EACH_IN_THREADS) for sender in keys}

    async def answer(self, request: Request) -> Response:
        """Answer one request; never raises."""
        try:
            return JSONResponse({"accepted": await self._accept(request)}, status_code=HTTPStatus.ACCEPTED)
        except Refused as refused:
            self._refusals.add(refused)
            return refused.response()
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        except Exception:
            log.exception("http_events_broke")
            detail = "the server failed; its log says more"
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "broken", detail).response()

    async def _accept(self, request: Request) -> int:
        """Return how many events the request brought; raises Refused and ClientDisconnect."""
        mode = _mode_of(request)
        body = await self._bodies.read(request)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        attributes = attributes_of(headers)
        try:
            sender, signature = verify(self._keys, headers, signed_content(mode, attributes, body), now=self._clock())
        except BadSignature as error:
            raise Refused(HTTPStatus.UNAUTHORIZED, "signature", str(error), headers=_CHALLENGE) from None
        if repeated := self._accepted.events_of(signature):
            return repeated
        events = await self._in_turn(sender, partial(self._acceptor.accept, sender, mode, attributes, body))
        self._accepted.remember(signature, events)
        log.debug("http_events_accepted", sender=sender, events=events)
        return events

    async def _in_turn(self, sender: str, accept: Callable[[], int]) -> int:
        """Run `accept` in a thread when earlier requests of its sender leave one to it; raises Refused."""
        if self._in_hand[sender] >= EACH_AT_ONCE:
            detail = "too many requests at once, signed with the same secret"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, retry_after_seconds=1)
        self._in_hand[sender] += 1
        try:
            async with self._turns[sender]:
                return await run_in_threadpool(accept)
        finally:
            self._in_hand[sender] -= 1


def _mode_of(request: Request) -> Mode:
    given = request.headers.getlist  # a header that comes twice is one with a comma (RFC 9110), and then none of ours
    mode = mode_of(", ".join(given("content-type")), ", ".join(given("content-encoding")))
    if mode is None or (mode is Mode.BINARY and "ce-specversion" not in request.headers):
        detail = f"Content-Type: must be {Mode.STRUCTURED}, {Mode.BATCH}, or {Mode.BINARY} with ce-* headers; in UTF-8"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", detail, headers={"accept-encoding": "identity"})
    return mode
