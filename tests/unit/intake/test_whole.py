"""Events whose sender waits for the answer: all of them are recorded, or none and nothing is kept."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from tests.http_events import LOGIN, event
from tests.unit.intake.desk import FAR, Desk
from worker.errors import EventsRefused
from worker.ledger import Recorded
from worker.seal import Vault


@pytest.fixture
def desk(vault: Vault) -> Desk:
    return Desk(vault)


def refusal(desk: Desk, documents: list[object]) -> dict[int, tuple[str, str]]:
    with capture_logs() as lines, pytest.raises(EventsRefused) as caught:
        desk.intake.accept_whole(documents)
    assert desk.ledger.wishes == desk.letters.parked == desk.told == lines == []
    assert LOGIN not in str(caught.value)
    return {position: (error.code, error.reason) for position, error in caught.value.errors.items()}


def test_all_are_recorded_together_and_each_has_its_result(desk: Desk) -> None:
    results = desk.intake.accept_whole([event(), event(id="evt-2", type="account.inactive")])
    assert results == [Recorded.RECORDED] * 2
    assert [(wish.event_id, wish.wants_active) for wish in desk.ledger.wishes] == [("evt-1", True), ("evt-2", False)]
    assert desk.ledger.replicas == [0]


def test_one_that_is_wrong_refuses_all_and_every_wrong_one_is_told(desk: Desk) -> None:
    foreign = event(data={"loginId": LOGIN, "instance": "nowhere"})
    assert refusal(desk, [event(), LOGIN, event(), foreign, event(time="noon")]) == {
        1: ("invalid_event", "event: must be an object"),
        3: ("unknown_instance", "instance: is not one of the configured instances"),
        4: ("invalid_event", "time: must be an RFC 3339 time such as 2026-11-22T10:00:00Z"),
    }


def test_where_one_is_dated_too_far_ahead_none_is_recorded(desk: Desk) -> None:
    assert refusal(desk, [event(), event(time=FAR)]) == {
        1: ("invalid_event", "time: lies more than 3600 s in the future")
    }


def test_an_id_that_holds_the_login_is_masked_here_too(desk: Desk) -> None:
    desk.intake.accept_whole([event(id=f"link-{LOGIN}")])
    assert cast("str", desk.wish.event_id).startswith("masked-")
