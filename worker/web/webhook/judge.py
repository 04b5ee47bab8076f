"""Validates the events of a request against the contract, all or none, and removes fields that the contract lacks.

Workers check later what only they know: whether the instance is configured, and whether they have the key of a sealed
loginId.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent, Requirements
from worker.events.models import CloudEvent
from worker.vault.spellings import Spellings
from worker.web.webhook.problems import refused_events

_CLEAR_FIELDS = ("id", "source", "subject")
"""Fields that are stored in clear, and that a producer may have built from the loginId."""


class Judge:
    """Validates events. `seals`: acceptor.py seals loginIds that came in clear."""

    def __init__(self, requirements: Requirements, *, seals: bool) -> None:
        self._requirements = requirements
        self._seals = seals

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
        self._requirements.check_time(event, now)
        is_sealed = self._seals or bool(event.sealed_login_id)
        self._requirements.check(event, is_sealed=is_sealed, login_field="data.loginId")
        valid = cast("Mapping[str, Any]", document)
        # Extension attributes are ignored, and may hold secrets.
        known = {name: valid[name] for name in CloudEvent.model_fields if name in valid}
        if event.login_id and self._seals:
            _refuse_login_elsewhere(known, Spellings(event.login_id))
        return known


def _refuse_login_elsewhere(document: Mapping[str, Any], login: Spellings) -> None:
    for name in _CLEAR_FIELDS:
        if document.get(name) and login.are_in(document[name]):
            raise InvalidEvent(f"{name}: contains the loginId in clear, which is a secret")
