from typing import Any

import pytest

from worker.backfill.models import Asks, Backfill, RowOutcome, Status
from worker.web.review.paces import MOST_JOBS, Paces
from worker.web.review.progress import backfill_progress, newest_first


def backfill(status: Status = Status.RUNNING, **values: Any) -> Backfill:
    counts = dict.fromkeys(RowOutcome, 0) | values.pop("counts", {})
    return Backfill("bf-1", "toolbox", Asks.OFF, status, 0, counts=counts, **values)


def test_the_bar_has_the_share_of_rows_that_ended_and_of_those_that_failed() -> None:
    one = backfill_progress(
        backfill(rows=200, fed=150, counts={"applied": 90, "dead": 9, "invalid": 1, "waiting": 100})
    )
    assert (one.percent, one.ended, one.failed, one.left) == ("50 %", 100, 10, 50)
    assert "50 %: 100 of 200 ended, 10 failed" in one.bar
    assert one.outcomes == "90 applied, 1 invalid, 9 dead, 100 waiting"


def test_a_job_is_not_called_complete_before_its_last_row_ended() -> None:
    assert backfill_progress(backfill(rows=1000, counts={"applied": 999, "waiting": 1})).percent == "99 %"
    assert backfill_progress(backfill(rows=0)).percent == "100 %"


@pytest.mark.parametrize(
    ("status", "may"),
    [
        (Status.LOADING, {"cancel"}),
        (Status.RUNNING, {"pause", "cancel"}),
        (Status.PAUSED, {"resume", "cancel"}),
        (Status.CANCELLED, set()),
        (Status.FINISHED, set()),
    ],
)
def test_only_actions_that_the_status_allows_are_offered(status: Status, may: set[str]) -> None:
    assert backfill_progress(backfill(status)).may == may


def test_a_page_follows_a_cancelled_backfill_until_the_calls_that_it_handed_over_are_made() -> None:
    assert backfill_progress(backfill(Status.CANCELLED, rows=2, counts={"waiting": 1, "cancelled": 1})).is_live
    assert not backfill_progress(backfill(Status.CANCELLED, ended_at=5)).is_live
    assert not backfill_progress(backfill(Status.FINISHED)).is_live


def test_what_still_changes_comes_first() -> None:
    old = backfill_progress(backfill(loaded_at=1))
    ended = [backfill_progress(backfill(Status.FINISHED, loaded_at=at)) for at in (2, 3)]
    assert newest_first([ended[0], old, ended[1]]) == [old, ended[1], ended[0]]


def test_the_pace_is_that_of_the_last_half_minute() -> None:
    now = 0.0
    paces = Paces(lambda: now)
    assert paces.pace("bf-1", 0, 1000) == ""
    now = 10.0
    assert paces.pace("bf-1", 100, 1000) == "10.0 a second, about 2 min left"
    now = 100.0
    assert paces.pace("bf-1", 100, 1000) == ""
    assert paces.pace("bf-1", 1000, 1000) == ""


def test_the_memory_of_paces_is_bounded() -> None:
    paces = Paces(lambda: 0.0)
    for number in range(2 * MOST_JOBS):
        paces.pace(f"bf-{number}", 0, 1)
    assert len(paces._samples) == MOST_JOBS
