"""The steps of a request to `POST /events`.

1. Check the media type; read the body, up to a size and a deadline.
2. Verify the signature and its age. Before this, nothing of the body is parsed.
3. If the same request was accepted before, repeat that response and stop.
4. In a thread (acceptor.py): extract the events, validate each against the contract, charge them to their sender, seal
   their loginIds to the workers' public key, and append all to the stream as one entry.
5. Answer 202 once Redis has the events. After a 503 Redis may have all of them or none; after any other status none.
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
"""Maximum signed requests of one sender at once; each may hold a body of 1 MiB."""
EACH_IN_THREADS = 4
"""Maximum threads for one sender. More are not faster, and take CPU from other senders."""
_CHALLENGE = {"www-authenticate": 'Webhook-Signature realm="Nightly"'}

log = get_logger(__name__)


class Endpoint:
    """Answers requests of the senders in `keys`."""

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
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # the client is gone
        except Exception:
            log.exception("http_events_failed_unexpectedly")
            detail = "the server failed; its log says more"
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "broken", detail).response()

    async def _accept(self, request: Request) -> int:
        """Return the number of events accepted; raises Refused and ClientDisconnect."""
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
        """Run `accept` in a thread, once its sender has one free; raises Refused if too many requests wait."""
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
    values = request.headers.getlist  # a repeated header is one with commas (RFC 9110), which is not a media type here
    mode = mode_of(", ".join(values("content-type")), ", ".join(values("content-encoding")))
    if mode is None or (mode is Mode.BINARY and "ce-specversion" not in request.headers):
        detail = f"Content-Type: must be {Mode.STRUCTURED}, {Mode.BATCH}, or {Mode.BINARY} with ce-* headers; in UTF-8"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", detail, headers={"accept-encoding": "identity"})
    return mode
