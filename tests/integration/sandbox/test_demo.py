"""The demo as a person runs it: its result is true, and it leaves nothing behind in any case."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack import ManagedProcess, OrphanGuard
from tests.integration.leftovers import kill_leftovers
from tests.places import ROOT
from tests.waiting import eventually


@pytest.fixture
def demo(request: pytest.FixtureRequest, tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[ManagedProcess]:
    """`nightly demo` with the arguments of the test, started in an empty folder that is also its TMPDIR."""
    (tmp_path / "tmp").mkdir()
    process = ManagedProcess(
        "demo",
        [sys.executable, "-m", "worker", "demo", *request.param],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp"), "PYTHONUNBUFFERED": "1"},
        log_path=tmp_path / "demo.log",
        cwd=tmp_path,
        guard=orphan_guard,
    )
    yield process.start()
    process.stop(grace_seconds=30)
    assert kill_leftovers(tmp_path) == []


def ended(process: ManagedProcess, seconds: float) -> int | None:
    eventually(lambda: not process.is_running, seconds=seconds, describe="the end of the demo")
    return process.exit_code


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@pytest.mark.parametrize("demo", [["--json", "--seed", "7"]], indirect=True)
def test_two_thousand_events_end_as_wished_in_spite_of_every_fault(demo: ManagedProcess, tmp_path: Path) -> None:
    assert ended(demo, seconds=95) == 0, demo.tail()
    lines = demo.output().splitlines()
    result = json.loads(lines[-1])
    assert result["ok"]
    assert result["events"]["published"] == result["events"]["ended"] >= 2000
    assert result["logins"] == {"compared": 1000, "equal": 1000, "differing": []}
    assert result["dead_lettered"] == {"INVALID_LOGIN": 40}
    assert result["rejected"] == {"invalid_event": 52, "unknown_instance": 8}
    assert min(result[name] for name in ("applied_on", "applied_off", "superseded", "duplicate")) > 50
    assert min(result["retried"], result["ambiguous"]) > 50
    assert result["throttled"] > 5
    assert sum(line.startswith("  published ") for line in lines) >= 3
    assert is_empty(tmp_path / "tmp")


@pytest.mark.parametrize("demo", [[]], indirect=True)
def test_sigterm_in_the_middle_stops_every_part(demo: ManagedProcess, tmp_path: Path) -> None:
    eventually(lambda: "calls" in demo.output(), seconds=60, describe="the first calls")
    demo.signal(signal.SIGTERM)
    assert ended(demo, seconds=30) == 130
    assert "Stopped. Nothing is left running." in demo.output()
    assert "Traceback" not in demo.output()
    assert is_empty(tmp_path / "tmp")


@pytest.mark.parametrize("demo", [[]], indirect=True)
@pytest.mark.parametrize(("part", "words"), [("worker-1", "worker-1 died")])
def test_a_part_that_dies_ends_the_demo_and_leaves_its_log(
    demo: ManagedProcess, tmp_path: Path, part: str, words: str
) -> None:
    eventually(lambda: "calls" in demo.output(), seconds=60, describe="the first calls")
    found = re.search(rf"{part} ready \(pid (\d+)\)", demo.output())
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
    assert ended(demo, seconds=90) == 1
    assert words in demo.output()
    assert "Traceback" not in demo.output()
    (kept,) = (tmp_path / "tmp").glob("nightly-demo-*")
    assert (kept / "logs" / f"{part}.log").exists()
