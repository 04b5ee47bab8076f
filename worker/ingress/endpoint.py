"""The life of a request to `POST /events`.

1. Its media type says how it holds events; the body is read, up to a limit and a deadline.
2. Somebody who holds a secret signed it, lately. Nothing of it is looked at before.
3. It is taken apart into events, and those are charged to the allowance.
4. In a thread, because Redis' client blocks: each is judged by the contract, all are recorded by one script.
5. 202 says that the ledger has them. Anything else says that it has none of them, or may have all (503).
6. After the answer, and in nobody's way, a worker is rung for, so that the calls begin at once.

A request that is repeated within the signature's tolerance does no harm: its events are duplicates then.
"""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from worker.errors import InvalidEvent
from worker.ingress.allowance import Allowance
from worker.ingress.body import read_body
from worker.ingress.modes import MAX_EVENTS, Mode, TooManyEvents, attributes_of, documents_in, mode_of, signed_content
from worker.ingress.recorder import Recorder
from worker.ingress.refusals import Refused, unreadable
from worker.ingress.signature import BadSignature, verify
from worker.ingress.waking import Ringer
from worker.ledger import Recorded
from worker.telemetry.logs import get_logger

AT_ONCE = 100
"""Requests in hand; each may hold a body of a mebibyte."""
_CHALLENGE = {"www-authenticate": 'Webhook-Signature realm="Nightly"'}

log = get_logger(__name__)


class Desk:
    """Answers requests, for senders that hold one of `keys`."""

    def __init__(
        self,
        keys: Mapping[str, bytes],
        recorder: Recorder,
        allowance: Allowance,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._recorder = recorder
        self._ringer = Ringer(recorder)
        self._allowance = allowance
        self._clock = clock
        self._in_hand = 0

    async def answer(self, request: Request) -> Response:
        """Answer one request; never raises."""
        self._in_hand += 1
        try:
            return await self._accept(request)
        except Refused as refused:
            log.info("http_events_refused", status=refused.status.value, code=refused.code, reason=refused.detail)
            return refused.response()
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        except Exception:
            log.exception("http_events_broke")
            detail = "the server failed; its log says more"
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "broken", detail).response()
        finally:
            self._in_hand -= 1

    async def _accept(self, request: Request) -> Response:
        if self._in_hand > AT_ONCE:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many requests at once", retry_after_seconds=1)
        mode = _mode_of(request)
        body = await read_body(request)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        attributes = attributes_of(headers)
        try:
            sender = verify(self._keys, headers, signed_content(mode, attributes, body), now=self._clock())
            documents = documents_in(mode, attributes, body)
        except BadSignature as error:
            raise Refused(HTTPStatus.UNAUTHORIZED, "signature", str(error), headers=_CHALLENGE) from None
        except InvalidEvent as error:
            raise unreadable(error) from None
        except TooManyEvents:
            detail = f"body: holds more than {MAX_EVENTS} events"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail) from None
        self._charge(len(documents))
        results = await run_in_threadpool(self._recorder.record, documents)
        log.debug("http_events_recorded", sender=sender, events=len(results))
        afterwards = BackgroundTask(self._ringer.ring) if Recorded.RECORDED in results else None
        document = {"results": [result.value for result in results]}
        return JSONResponse(document, status_code=HTTPStatus.ACCEPTED, background=afterwards)

    def _charge(self, count: int) -> None:
        wait_seconds = self._allowance.take(count)
        if wait_seconds:
            detail = "more events than HTTP_EVENTS_PER_SECOND allows"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "too_many", detail, retry_after_seconds=wait_seconds)


def _mode_of(request: Request) -> Mode:
    given = request.headers.getlist  # a header that comes twice is one with a comma (RFC 9110), and then none of ours
    mode = mode_of(", ".join(given("content-type")), ", ".join(given("content-encoding")))
    if mode is None or (mode is Mode.BINARY and "ce-specversion" not in request.headers):
        detail = f"Content-Type: must be {Mode.STRUCTURED}, {Mode.BATCH}, or {Mode.BINARY} with ce-* headers; in UTF-8"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", detail, headers={"accept-encoding": "identity"})
    return mode
