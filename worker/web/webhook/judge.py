"""Validates the events of a request against the contract, all or none, and removes fields that the contract lacks.

Workers check later what only they know: whether the instance is configured, and whether they have the key of a sealed
loginId.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.events.models import CloudEvent
from worker.vault.spellings import Spellings
from worker.web.webhook.problems import refused_events

_CLEAR_FIELDS = ("id", "source", "subject")
"""Fields that are stored in clear, and that a producer may have built from the loginId."""


class Judge:
    """Validates events.

    `seals`: acceptor.py seals loginIds that came in clear. `requires_sealed`: without `seals`, they are refused.
    """

    def __init__(self, *, max_ahead_seconds: float, seals: bool, requires_sealed: bool) -> None:
        self._max_ahead = timedelta(seconds=max_ahead_seconds)
        self._seals = seals
        self._requires_sealed = requires_sealed

    def judge(self, documents: Sequence[object], *, now: datetime) -> list[Mapping[str, Any]]:
        """Return each event with only the contract's fields; raises Refused with the problems of each wrong event."""
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
        # Extension attributes are ignored, and may hold secrets.
        known = {name: valid[name] for name in CloudEvent.model_fields if name in valid}
        if event.login_id:
            self._judge_clear(known, Spellings(event.login_id))
        return known

    def _judge_clear(self, document: Mapping[str, Any], login: Spellings) -> None:
        if not self._seals:
            if self._requires_sealed:
                raise InvalidEvent("data.loginId: must be sealed, as data.sealedLoginId")
            return
        for name in _CLEAR_FIELDS:
            if document.get(name) and login.are_in(document[name]):
                raise InvalidEvent(f"{name}: contains the loginId in clear, which is a secret")
