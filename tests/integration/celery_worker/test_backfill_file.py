"""A file, from the command to the report, with a real worker; a newer live event wins."""

import csv
import subprocess
import sys
from pathlib import Path

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.places import ROOT
from tests.waiting import eventually


def run(nightly: Nightly, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = nightly.stack.environment | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "worker", "backfill", *arguments]
    return subprocess.run(
        command, env=environment, cwd=nightly.stack.folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_file_becomes_calls_and_a_report_and_a_newer_live_event_wins(nightly: Nightly, tmp_path: Path) -> None:
    logins = new_logins(60)
    path = tmp_path / "logins.csv"
    path.write_text(
        "Login ID,customer_id\n" + "".join(f"{login},cust-{at}\n" for at, login in enumerate(logins)) + ",x\n"
    )
    nightly.send([cloud_event(login, on=True, minute=5) for login in logins[:5]])
    nightly.stack.start_worker()
    nightly.comes_to_rest()
    started = run(nightly, "start", str(path), "--off", "--as-of", "2026-11-22T10:00:00Z")
    assert started.returncode == 0, started.stderr
    [backfill] = nightly.services.backfills.all()
    eventually(lambda: nightly.services.backfills.get(backfill.id).ended_at, seconds=30, describe="its end")
    nightly.comes_to_rest()

    followed = run(nightly, "show", backfill.id, "--follow")
    assert followed.returncode == 1
    assert "55 applied, 5 superseded, 1 invalid" in followed.stdout
    report = run(nightly, "report", backfill.id)
    rows = list(csv.DictReader(report.stdout.splitlines()))
    assert [row["outcome"] for row in rows] == ["superseded"] * 5 + ["applied"] * 55 + ["invalid"]
    assert [row["reference"] for row in rows[:60]] == [nightly.reference(login) for login in logins]
    assert nightly.flags() == {login: login in logins[:5] for login in logins}
    written = started.stdout + started.stderr + followed.stdout + report.stdout + report.stderr
    assert not [login for login in logins if login in written]
