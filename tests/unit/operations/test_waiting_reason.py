from typing import Any

import pytest

from worker.operations.waiting_reason import waiting_reason

NOW = 1_000_000
OPEN = {"state": "open"}
WAITING: dict[str, Any] = {
    "state": "waiting", "instance": "acme", "due_at": NOW - 5000, "rests_until": None, "last_code": "AGGREGATION_ERROR",
    "failures": 3, "lease_until": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (WAITING, "due for 5 s, queued"),
        (WAITING | {"due_at": NOW + 30_000}, "AGGREGATION_ERROR, attempt 3; the next attempt is in 30 s"),
        (WAITING | {"due_at": NOW + 30_000, "rests_until": NOW + 20_000}, "may still take effect"),
        (WAITING | {"state": "in_flight", "lease_until": NOW + 9000}, "its lease ends in 9 s"),
        (WAITING | {"state": "applied"}, ""),
    ],
)  # fmt: skip
def test_each_state_has_its_reason(about: dict[str, Any], words: str) -> None:
    assert words in waiting_reason(about, OPEN, ["a worker"], NOW)


def test_a_closed_gate_is_the_reason_before_any_other() -> None:
    gate = {"state": "closed", "cause": "operator", "by": "ann", "detail": "maintenance"}
    reason = waiting_reason(WAITING, gate, [], NOW)
    assert "closed by ann: maintenance" in reason
    assert "nightly gate open acme" in reason


def test_without_a_worker_the_reason_says_how_to_start_one() -> None:
    assert "celery -A worker worker" in waiting_reason(WAITING, OPEN, [], NOW)
