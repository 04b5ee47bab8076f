"""Malformed input stops no worker, and all of it ends as an event or a dead letter."""

from pathlib import Path

from tests.chaos.fuzz import fuzz


def test_malformed_input_stops_no_worker_and_is_never_lost(tmp_path: Path) -> None:
    report = fuzz(tmp_path, seed=1, say=print, inputs=250, huge_inputs=1)
    assert not report.broken, report.text()
