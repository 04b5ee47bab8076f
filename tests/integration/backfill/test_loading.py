"""A load that is killed resumes, half a file is never handed over, and a repeated file is refused."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.backfill.conftest import Nightly, only, work_off
from tests.places import ROOT
from tests.waiting import eventually
from worker.backfill.codec import ROWS_IN_CHUNK
from worker.services import Services

ROWS = 40_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "logins.csv"
    lines = [f"login-{number},cust-{number}\n" for number in range(ROWS)]
    path.write_text("loginId,account_id\n" + "".join(lines))
    return path


def kill_while_loading(path: Path, services: Services, *, chunks: int) -> None:
    """SIGKILL a `start` command once `chunks` are stored. Its standard input stays open, so it cannot end before."""
    command = [sys.executable, "-m", "worker", "backfill", "start", "-", "--off"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        assert process.stdin is not None
        lines = path.read_bytes().splitlines(keepends=True)
        process.stdin.write(b"".join(lines[: (chunks + 1) * ROWS_IN_CHUNK]))
        process.stdin.flush()
        found = services.backfills.all
        eventually(lambda: [one for one in found() if one.chunks >= chunks], seconds=20, describe="some chunks")
        process.send_signal(signal.SIGKILL)


def restarted(path: Path) -> None:
    """Repeat the same command with the whole file on standard input."""
    command = [sys.executable, "-m", "worker", "backfill", "start", "-", "--off"]
    with path.open("rb") as stream:
        done = subprocess.run(
            command, stdin=stream, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr.decode()


def test_a_load_that_was_killed_resumes_and_has_every_row_once(
    nightly: Nightly, services: Services, path: Path
) -> None:
    kill_while_loading(path, services, chunks=7)
    killed = only(services)
    assert (killed.status, killed.chunks >= 7) == ("loading", True)
    assert services.backfills.running() == []
    restarted(path)
    assert (only(services).id, only(services).rows) == (killed.id, ROWS)
    assert only(services).as_of_us == killed.as_of_us
    lines = [json.loads(line)["line"] for line in nightly("report", killed.id, "--json").stdout.splitlines()]
    assert lines == list(range(2, ROWS + 2))


def test_a_file_that_changed_after_the_loaded_part_is_not_mixed_with_it(
    nightly: Nightly, services: Services, path: Path
) -> None:
    kill_while_loading(path, services, chunks=3)
    killed = only(services)
    lines = path.read_text().splitlines(keepends=True)
    lines[2 * ROWS_IN_CHUNK - 5] = "another,cust\n"
    path.write_text("".join(lines))
    done = nightly("start", "-", "--off", stdin=path.read_text())
    assert done.returncode == 1
    assert f"nightly backfill cancel {killed.id}" in done.stderr
    assert only(services).status == "loading"


def test_the_same_file_is_refused_unless_again_is_given(nightly: Nightly, services: Services, tmp_path: Path) -> None:
    path = tmp_path / "logins.txt"
    path.write_text("login-1\nlogin-2\n")
    assert nightly("start", str(path), "--on").returncode == 0
    first = only(services)
    for _ in range(2):
        refused = nightly("start", str(path), "--on")
        assert refused.returncode == 1
        assert f"backfill {first.id}" in refused.stderr
        assert [one.id for one in services.backfills.all()] == [first.id]
        work_off(services)  # refused even after the first one has ended
    assert nightly("start", str(path), "--off").returncode == 0
    assert nightly("start", str(path), "--on", "--again").returncode == 0
    assert len(services.backfills.all()) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"".join(b"login-%d\n" % number for number in range(9000)))[:-30], "truncated"),
        (b"", "no row"), (b"\x07\n\x07\n", "none of the 2 rows is valid; line 1: login_id: holds a character"),
    ],
)  # fmt: skip
def test_an_unreadable_file_leaves_nothing_behind(
    nightly: Nightly, services: Services, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "logins.txt"
    path.write_bytes(content)
    done = nightly("start", str(path), "--on")
    assert (done.returncode, said in done.stderr) == (1, True)
    assert services.backfills.all() == []
    assert list(services.redis.scan_iter("nightly:backfill:*")) == []
