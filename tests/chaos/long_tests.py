"""The tests that are too long for every run: many more random schedules, and tests that take a minute."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.chaos.report import Report, Say
from tests.places import ROOT

PLACES = ("tests/integration/ledger", "tests/integration/celery_worker", "tests/integration/web/review")
SUMMARY = re.compile(r"(\d+) (passed|failed|skipped|error)")


def long_tests(folder: Path, *, schedules: int = 20_000, seed: int, say: Say) -> Report:
    """Run the tests of the ledger and the workers at length; hypothesis draws by `seed`."""
    report = Report("The long forms of the tests", {"schedules": schedules, "seed": seed})
    say(f"{schedules:,} random schedules, and every long form; some minutes")
    places = [str(ROOT / place) for place in PLACES]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *places]
    command += [f"--hypothesis-seed={seed}", f"--basetemp={folder / 'pytest'}", "-p", "no:cacheprovider"]
    environment = os.environ | {"NIGHTLY_PROVE": "1", "NIGHTLY_SCHEDULES": str(schedules)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    (folder / "pytest.log").write_text(done.stdout + done.stderr)
    counts = {word: int(count) for count, word in SUMMARY.findall(done.stdout.strip().splitlines()[-1])}
    report.figures["tests"] = ", ".join(f"{count} {word}" for word, count in counts.items())
    report.expect(done.returncode == 0, f"pytest ended with {done.returncode}: see pytest.log")
    report.expect(not counts.get("skipped"), "tests were skipped")
    report.expect(counts.get("passed"), "no test was run")
    return report
