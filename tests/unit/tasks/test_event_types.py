"""The models of a message accept only values of the right type, and their errors repeat no value."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.events.models import CeleryArguments, CloudEvent, LoginData

TIME = "2026-11-22T10:00:00Z"
CANARY = "Zq7cAnArYzQ"
ARGUMENTS = {"login_id": CANARY, "occurred_at": TIME, "event_id": "evt-1"}
DATA = {"loginId": CANARY}
EVENT = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": TIME, "data": DATA}
MODELS = [(CeleryArguments, ARGUMENTS, "login_id"), (LoginData, DATA, "loginId"), (CloudEvent, EVENT, "source")]


@pytest.mark.parametrize(("model", "fields", "name"), MODELS)
def test_bytes_are_refused_as_text(model: type[BaseModel], fields: dict[str, Any], name: str) -> None:
    model.model_validate(fields)
    with pytest.raises(ValidationError, match=name):
        model.model_validate(fields | {name: CANARY.encode()})


@pytest.mark.parametrize(("model", "fields", "name"), MODELS)
def test_an_error_of_the_model_repeats_no_input(model: type[BaseModel], fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields | {name: [CANARY]})
    assert CANARY not in str(caught.value)


def test_attributes_of_a_cloudevent_that_we_do_not_know_are_ignored() -> None:
    assert not hasattr(CloudEvent.model_validate(EVENT | {"traceparent": "00-1"}), "traceparent")


@pytest.mark.parametrize(("unknown", "ends"), [(5, "(another field): is not a field of this event"), (6, "and 1 more")])
def test_a_reason_names_five_faults_and_counts_the_rest(unknown: int, ends: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        LifecycleEvent.from_celery("account.linked", ARGUMENTS | {f"x{at}": 1 for at in range(unknown)}, "toolbox")
    assert caught.value.reason.endswith(ends)
    assert caught.value.reason.count(";") == unknown - 1
