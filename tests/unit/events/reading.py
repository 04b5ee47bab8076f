"""Reads an event, or the reason for its refusal."""

from collections.abc import Mapping
from typing import Any

import pytest

from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent

CANARY = "Zq7cAnArYzQ"
TIME = "2026-11-22T10:00:00Z"
SEALED = f"0123abcd.{'A' * 112}"
ARGUMENTS = {"login_id": "login-1", "occurred_at": TIME, "event_id": "evt-1"}


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "crm",
        "type": "account.inactive",
        "time": TIME,
        "data": {"loginId": "login-1"},
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


def read(arguments: Mapping[str, Any], event_type: str = "account.linked") -> LifecycleEvent:
    return LifecycleEvent.from_celery(event_type, arguments, "toolbox")


def refusal(arguments: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidEvent) as caught:
        read(arguments)
    assert caught.value.code == "invalid_event"
    return caught.value.reason


def refusal_of(document: object) -> str:
    with pytest.raises(InvalidEvent) as caught:
        LifecycleEvent.from_cloudevent(document, "toolbox")
    return caught.value.reason
