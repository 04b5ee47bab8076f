"""A backfill through real workers: it drains behind live events, and its report is exact after kills."""

import uuid
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.integration.celery_worker.conftest import BEGIN, Nightly, cloud_event, long_form, new_logins
from tests.people import ANN
from tests.waiting import eventually
from worker.backfill.models import Row, RowOutcome, Status
from worker.backfill.store import Backfills

AS_OF_US = int(BEGIN.timestamp()) * 1_000_000
WAITING, APPLIED, SUPERSEDED = RowOutcome.WAITING, RowOutcome.APPLIED, RowOutcome.SUPERSEDED


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "2", "FLINKS_CALLS_PER_SECOND": "100"}


@pytest.fixture
def backfills(nightly: Nightly) -> Backfills:
    return nightly.services.backfills


def start(backfills: Backfills, logins: Sequence[str], **terms: object) -> str:
    """Load a backfill that switches these logins on; an empty one is an invalid row."""
    backfill = backfills.create(instance="toolbox", wish="on", as_of_us=AS_OF_US, **terms)
    for at in range(0, len(logins), 500):
        part = enumerate(logins[at : at + 500], at + 2)
        rows = [Row(line, login, problem="" if login else "loginId: is empty") for line, login in part]
        backfills.put_chunk(backfill.id, at // 500, rows, "")
    return backfills.commit(backfill.id, uuid.uuid4().hex, by=ANN).id


def outcomes(backfills: Backfills, backfill_id: str) -> list[RowOutcome]:
    backfill = backfills.get(backfill_id)
    return [result.outcome for result in backfills.results(backfill_id, 0, backfill.rows)]


def finish(backfills: Backfills, *ids: str, seconds: float = 30) -> None:
    for backfill_id in ids:
        eventually(
            lambda: backfills.get(backfill_id).status is Status.FINISHED,  # noqa: B023 - polled at once
            seconds=seconds,
            describe=f"the end of the backfill ({backfills.get(backfill_id).counts})",
        )


def test_a_backfill_drains_behind_live_events_and_each_row_has_its_exact_outcome(
    nightly: Nightly, backfills: Backfills
) -> None:
    logins = new_logins(400)
    rows = [*logins, "", logins[0], logins[-1]]
    nightly.send([cloud_event(login, on=False, minute=5) for login in logins[:20]])  # newer than the backfill
    nightly.send([cloud_event(login, on=False, minute=-5) for login in logins[20:40]])  # older
    nightly.stack.start_worker()
    nightly.comes_to_rest()
    backfill_id = start(backfills, rows)
    eventually(lambda: backfills.get(backfill_id).counts["applied"] > 20, seconds=20, describe="the first rows")
    assert nightly.services.views.status()["instances"]["toolbox"]["due_backfill"] <= 200, "it waits in the lane"
    late = [login for login, what in zip(logins, outcomes(backfills, backfill_id), strict=False) if what is WAITING]
    live = late[-21:-1]
    nightly.send([cloud_event(login, on=False, minute=9) for login in live])
    eventually(lambda: nightly.tally()["applied_off"] == 60, seconds=20, describe="the live events")
    assert WAITING in outcomes(backfills, backfill_id), "the live events came last"
    finish(backfills, backfill_id)
    nightly.comes_to_rest()
    expected = [SUPERSEDED if login in {*logins[:20], *live} else APPLIED for login in logins]
    repeated = [SUPERSEDED, RowOutcome.DUPLICATE]
    assert outcomes(backfills, backfill_id) == [*expected, RowOutcome.INVALID, *repeated]
    off = {*logins[:20], *live}
    assert nightly.flags() == {login: login not in off for login in logins}
    assert backfills.get(backfill_id).ended_at is not None


@long_form  # tests/chaos/test_backfill.py kills everything, in its short form too
def test_workers_killed_twice_leave_an_exact_report(nightly: Nightly, backfills: Backfills) -> None:
    logins = new_logins(400)
    nightly.emulator.faults({"knob": "latency", "milliseconds": 50})
    first, second = start(backfills, logins[:300]), start(backfills, [*logins[300:], *logins[300:310]])
    for kill_at in (40, 150):
        worker = nightly.stack.start_worker()

        def ended() -> int:
            return sum(backfills.get(one).counts["applied"] for one in (first, second))

        eventually(lambda: ended() >= kill_at, seconds=30, describe="some rows")  # noqa: B023 - polled at once
        worker.kill()
    assert backfills.get(first).ended_at is None, "killed too late to prove anything"
    nightly.stack.start_worker()
    finish(backfills, first, second, seconds=60)
    nightly.comes_to_rest()
    assert Counter(outcomes(backfills, first)) == {APPLIED: 300}
    assert outcomes(backfills, second) == [*[APPLIED] * 100, *[RowOutcome.DUPLICATE] * 10]
    assert nightly.flags() == dict.fromkeys(logins, True)
    tally = nightly.tally()
    assert tally["applied_on"] == tally["recorded"] == 400
    assert tally["leases_lost"] > 0, "nothing was in flight when it was killed"


def test_after_a_pause_or_cancellation_only_rows_already_in_the_lane_are_called(
    nightly: Nightly, backfills: Backfills
) -> None:
    backfill_id = start(backfills, new_logins(1500))
    nightly.stack.start_worker()
    eventually(lambda: backfills.get(backfill_id).counts["applied"] > 30, seconds=20, describe="the first rows")
    backfills.pause(backfill_id, by=ANN)
    nightly.comes_to_rest(seconds=20)
    paused = backfills.get(backfill_id)
    assert paused.counts["applied"] == paused.fed < 600, (
        "more was handed over than two seconds' work and what had ended"
    )
    backfills.resume(backfill_id, by=ANN)
    eventually(lambda: backfills.get(backfill_id).fed > paused.fed, seconds=20, describe="more rows")
    backfills.cancel(backfill_id, by=ANN)
    eventually(lambda: backfills.get(backfill_id).ended_at, seconds=20, describe="the end of what was handed over")
    found = backfills.get(backfill_id)
    assert found.counts["applied"] == found.fed < 1500
    assert found.counts["cancelled"] == 1500 - found.fed
