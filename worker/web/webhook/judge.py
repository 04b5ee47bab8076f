"""Judges the events of a request by the contract, all or none, and says what the stream gets of them.

What only the ledger knows is judged by the workers: whether an instance is configured, whether a key opens what was
sealed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.events.models import CloudEvent
from worker.vault.spellings import Spellings
from worker.web.webhook.problems import refused_events

_MAY_NAME_IT = ("id", "source", "subject")
"""Fields that stay in clear, and that a producer may have made of the loginId."""


class Judge:
    """`seals`: loginIds are sealed here afterwards. `requires_sealed`: one in clear that is not is refused."""

    def __init__(self, *, max_ahead_seconds: float, seals: bool, requires_sealed: bool) -> None:
        self._max_ahead = timedelta(seconds=max_ahead_seconds)
        self._seals = seals
        self._requires_sealed = requires_sealed

    def judge(self, documents: Sequence[object], *, now: datetime) -> list[Mapping[str, Any]]:
        """Return each event with the fields of the contract alone; raises Refused, which says what is wrong in each."""
        accepted: list[Mapping[str, Any]] = []
        errors: dict[int, InvalidEvent] = {}
        for position, document in enumerate(documents):
            try:
                accepted.append(self._judge(document, now))
            except InvalidEvent as error:
                errors[position] = error
        if errors:
            raise refused_events(errors, of=len(documents))
        return accepted

    def _judge(self, document: object, now: datetime) -> Mapping[str, Any]:
        event = LifecycleEvent.from_cloudevent(document, "")
        if event.occurred_at - now > self._max_ahead:
            seconds = self._max_ahead.total_seconds()
            raise InvalidEvent(f"time: lies more than {seconds:g} s in the future")
        valid = cast("Mapping[str, Any]", document)
        # Extension attributes are ignored, and could hold anything.
        plain = {name: valid[name] for name in CloudEvent.model_fields if name in valid}
        if event.login_id:
            self._judge_clear(plain, Spellings(event.login_id))
        return plain

    def _judge_clear(self, document: Mapping[str, Any], login: Spellings) -> None:
        if not self._seals:
            if self._requires_sealed:
                raise InvalidEvent("data.loginId: must be sealed, as data.sealedLoginId")
            return
        for name in _MAY_NAME_IT:
            if document.get(name) and login.are_in(document[name]):
                raise InvalidEvent(f"{name}: holds the loginId, which is a secret, in clear")
