"""The blocking steps of a request: validate its events, charge its sender, seal loginIds, append one stream entry."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from worker.errors import InvalidEvent
from worker.events.contract import MAX_BODY_BYTES
from worker.events.preparation import sealed
from worker.vault.sealed_box import SealingKey
from worker.web.webhook.appender import Appender
from worker.web.webhook.cloudevents import MAX_EVENTS, Attributes, Mode, TooManyEvents, documents_in
from worker.web.webhook.judge import Judge
from worker.web.webhook.problems import Refused, unreadable
from worker.web.webhook.rate_limit import Allowance


class Acceptor:
    """Accepts signed requests; each sender has its own allowance. Several threads may call it at once."""

    def __init__(
        self,
        allowances: Mapping[str, Allowance],
        judge: Judge,
        appender: Appender,
        *,
        seal_to: SealingKey | None,
        clock: Callable[[], float],
    ) -> None:
        self._allowances = allowances
        self._judge = judge
        self._appender = appender
        self._seal_to = seal_to
        self._clock = clock

    def accept(self, sender: str, mode: Mode, attributes: Attributes, body: bytes) -> int:
        """Append all events of a signed request, or none; returns their number. Raises Refused.

        An invalid request does not count against its sender's rate.
        """
        self._charge(sender, 0)
        documents = self._judge.judge(
            _documents(mode, attributes, body), now=datetime.fromtimestamp(self._clock(), tz=UTC)
        )
        self._charge(sender, len(documents))
        entry = [sealed(document, self._seal_to) for document in documents]
        self._appender.append(_encoded(entry if len(entry) > 1 else entry[0]))
        return len(entry)

    def _charge(self, sender: str, count: int) -> None:
        wait_seconds = self._allowances[sender].take(count)
        if wait_seconds:
            detail = "more events than HTTP_EVENTS_PER_SECOND allows"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "too_many", detail, retry_after_seconds=wait_seconds)


def _documents(mode: Mode, attributes: Attributes, body: bytes) -> list[object]:
    try:
        return documents_in(mode, attributes, body)
    except InvalidEvent as error:
        raise unreadable(error) from None
    except TooManyEvents:
        detail = f"body: holds more than {MAX_EVENTS} events"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail) from None


def _encoded(document: object) -> bytes:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_BODY_BYTES:  # a sealed loginId is longer than one in clear
        detail = f"body: larger than {MAX_BODY_BYTES} bytes once its loginIds are sealed; send fewer events at once"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
    return body
