"""The order in which the parts of a worker start."""

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from worker.celery_worker import bootsteps as background
from worker.celery_worker.bootsteps import Background


class StartedError(Exception):
    """A stand-in for the step that starts the readers."""


def test_the_first_pulse_is_in_the_ledger_before_any_reader_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def pulse(*_: Any) -> None:
        steps.append("pulse")
        if len(steps) < 3:
            raise redis.ConnectionError("away")

    def readers_of(*_: Any) -> None:
        steps.append("readers")
        raise StartedError

    monkeypatch.setattr(background, "pulse", pulse)
    monkeypatch.setattr(background, "readers_of", readers_of)
    monkeypatch.setattr(background, "RETRY_SECONDS", 0)
    worker: Any = SimpleNamespace(app=SimpleNamespace(services=lambda: None))
    with capture_logs() as lines, pytest.raises(StartedError):
        Background(worker).start(worker)
    assert steps == ["pulse", "pulse", "pulse", "readers"]
    assert [line["event"] for line in lines] == ["ledger_unreachable"], "logged once"
