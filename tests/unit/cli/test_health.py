from typing import Any

from worker.cli.health import is_meant, neglected_seconds


def status(*, due: float, reconcilers: int = 0, gate: str = "open", paused: float = 0) -> dict[str, Any]:
    about = {"gate": {"state": gate}, "oldest_due_seconds": due, "paused_seconds": paused}
    return {"instances": {"toolbox": about}, "reconcilers": reconcilers}


def test_due_work_that_is_not_claimed_is_neglected_after_a_minute() -> None:
    assert neglected_seconds(status(due=61)) == 61


def test_due_work_is_not_neglected_with_a_reconciler_a_closed_gate_a_pause_or_a_short_wait() -> None:
    assert not neglected_seconds(status(due=61, reconcilers=1))
    assert not neglected_seconds(status(due=61, gate="closed"))
    assert not neglected_seconds(status(due=61, paused=5))
    assert not neglected_seconds(status(due=59))
    assert not neglected_seconds({"instances": {}, "reconcilers": 0})


def test_a_worker_is_selected_by_its_name_or_by_its_host() -> None:
    assert is_meant("celery@host-1", "host-1")
    assert is_meant("celery@host-1", "celery@host-1")
    assert not is_meant("celery@host-10", "host-1")
    assert not is_meant("celery@host-1", "celery")
