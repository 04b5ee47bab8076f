"""`nightly run` as a person uses it: its output can be pasted, and it ends when it should."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis, ManagedProcess, OrphanGuard
from tests.integration.leftovers import kill_leftovers
from tests.places import ROOT
from tests.waiting import eventually
from worker.ledger import Ledger
from worker.vault.vault import Vault, decode_key, new_key


@pytest.fixture
def run(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[ManagedProcess]:
    """A running `nightly run` in an empty folder."""
    process = ManagedProcess(
        "run",
        [sys.executable, "-m", "worker", "run", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        log_path=tmp_path / "run.log",
        cwd=tmp_path,
        guard=orphan_guard,
    )
    process.start().wait_ready(lambda: "If a part dies, everything stops" in process.output(), seconds=60)
    yield process
    process.stop(grace_seconds=30)
    assert kill_leftovers(tmp_path) == []


def printed_commands(run: ManagedProcess) -> list[str]:
    text = run.output().partition("In another shell")[2]
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def environment_of(part: str, run: ManagedProcess) -> dict[str, str]:
    """Return the environment in which a part of the run was started (Linux)."""
    found = re.search(rf"{part} ready \(pid (\d+)\)", run.output())
    assert found
    return dict(line.split("=", 1) for line in Path(f"/proc/{found[1]}/environ").read_text().split("\0") if line)


def test_another_shell_uses_the_run_without_exports_until_a_signal_stops_it(
    run: ManagedProcess, tmp_path: Path
) -> None:
    folder = tmp_path / ".nightly"
    assert (folder / "login-keys").read_text().strip() not in run.output()
    address = urlsplit((folder / "redis-ledger" / "url").read_text().strip())
    assert f"at {address.hostname}:{address.port}" in run.output()
    assert str(address.password) not in run.output()
    check_pages(run, folder)
    review = environment_of("review", run)
    assert review.keys() >= {"REDIS_URL", "SEAL_TO"}, "which seals what is sent over HTTP"
    assert "LOGIN_KEYS" in review, "so that every action on a letter works"
    assert not review.keys() & {"FLINKS_AUTH_KEY", "FLINKS_INSTANCES"}
    assert not environment_of("emulator", run).keys() & {"LOGIN_KEYS", "REDIS_URL"}

    def shell(*lines: str) -> str:
        script = ["bash", "-euc", "\n".join(lines)]
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    publish, status, explain, fault, export, export_http, xadd = printed_commands(run)
    (tmp_path / "snippet.py").write_text(
        "from worker import celery, publish\n"
        "publish('linked', login_id='demo-3')\n"
        "assert celery.settings.sandbox, 'a worker in this folder uses the run too'\n"
    )
    python = f"PYTHONPATH={ROOT} {sys.executable} snippet.py"
    assert "Using the stack" in shell(f"{publish} 2>&1", python, export, xadd)
    eventually(lambda: "2 applied on, 1 applied off" in shell(status), seconds=30, describe="three calls")
    assert "Flinks has  on" in shell(export, explain), "an exported REDIS_URL is that of the run"
    doctor = shell(status.replace("status", "doctor"))
    assert "emulated" in doctor
    assert "0 failed" in doctor
    assert shell(export_http, 'echo "$NIGHTLY_SECRET"').startswith("whsec_")
    review_a_refused_login(shell, fault, publish, explain)
    assert "already runs in this folder (process" in refusal_of(tmp_path)

    run.signal(signal.SIGTERM)
    eventually(lambda: not run.is_running, seconds=30, describe="the end of the run")
    assert run.exit_code == 0
    assert "Traceback" not in run.output()
    assert not (folder / "run").exists()


def review_a_refused_login(shell: Callable[..., str], fault: str, publish: str, explain: str) -> None:
    """Make Flinks refuse the login, find its dead letter, let Flinks accept the login again, and replay."""
    nightly = fault.partition(" emulator ")[0]
    refused = shell(fault, f"{publish} || true")
    assert "INVALID_LOGIN for all calls of demo-1" in refused
    letter = re.search(r"dead-letters show (dl-\d+)", refused)
    assert letter
    assert "Faults removed: 1." in shell(f"{nightly} emulator clear", f"{nightly} dead-letters replay {letter[1]}")
    eventually(lambda: re.search("state +applied", shell(explain)), seconds=30, describe="the replayed call")


def check_pages(run: ManagedProcess, folder: Path) -> None:
    """Open every printed address: the page with the printed password, `POST /events`, the metrics."""
    page = re.search(r"review page +(http://127\.0\.0\.1:\d+)", run.output())
    link = re.search(r"(http://\S+/sign-in/once\?token=\S+)", run.output())
    user = re.search(r"user (\w+) \(admin\), password (\w+)", run.output())
    metrics = re.search(r"metrics +(http://\S+)", run.output())
    assert page
    assert user
    assert link
    assert metrics
    assert (folder / "page-password").stat().st_mode & 0o777 == 0o600
    assert httpx.get(page[1] + "/health", trust_env=False).text == "ok\n"
    assert httpx.get(page[1], trust_env=False).status_code == 303
    signed_in = httpx.get(link[1], trust_env=False)
    assert signed_in.status_code == 303
    cookie = signed_in.headers["set-cookie"].partition(";")[0]  # httpx keeps no `Secure` cookie of a plain address
    assert f">{user[1]}<" in httpx.get(page[1], headers={"cookie": cookie}, trust_env=False).text
    assert httpx.get(link[1], trust_env=False).status_code == 401, "it works once"
    header = {"content-type": "application/cloudevents+json"}
    unsigned = httpx.post(page[1] + "/events", content=b"{}", headers=header, trust_env=False)
    assert unsigned.status_code == 401, "it is open, and wants a signature"
    assert "nightly_up 1.0" in httpx.get(metrics[1], trust_env=False).text


@pytest.mark.parametrize("part", ["emulator", "Redis"])
def test_a_part_that_dies_ends_the_run_and_is_reported(run: ManagedProcess, part: str, tmp_path: Path) -> None:
    if part == "Redis":
        with Redis.from_url((tmp_path / ".nightly" / "redis-ledger" / "url").read_text().strip()) as client:
            pid = client.info("server")["process_id"]
    else:
        found = re.search(rf"{part} ready \(pid (\d+)\)", run.output())
        assert found
        pid = int(found[1])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not run.is_running, seconds=30, describe="the end of the run")
    assert run.exit_code == 1
    assert f"{part} ended" in run.output()
    assert "Traceback" not in run.output()


def refusal_of(folder: Path, **settings: str) -> str:
    """Run `nightly run`, which must end by itself with one line of reasons; return that line."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    command = [sys.executable, "-m", "worker", "run", "--port", "0"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    return line


def run_that_is_refused(folder: Path, **settings: str) -> str:
    """As `refusal_of`; nothing may be left running."""
    line = refusal_of(folder, **settings)
    assert kill_leftovers(folder) == []
    return line


def test_a_run_does_not_start_in_a_folder_that_every_user_can_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "everybodys"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "emulator.py").write_text("open('code of another user was run', 'w')")

    line = run_that_is_refused(folder)

    assert line.startswith("Every user of this machine can put settings and code into")
    assert not (folder / "code of another user was run").exists()


def test_flinks_is_not_emulated_on_a_redis_that_the_user_named(
    tmp_path: Path, redis_client: Redis, redis_url: str
) -> None:
    line = run_that_is_refused(tmp_path, REDIS_URL=redis_url, LOGIN_KEYS=new_key())

    assert line.startswith("FLINKS_AUTH_KEY: is required if REDIS_URL is set")
    assert "SANDBOX=1" in line
    assert redis_client.dbsize() == 0


def test_a_sandbox_never_uses_a_production_ledger(tmp_path: Path, redis_client: Redis, redis_url: str) -> None:
    keys = new_key()
    Ledger(redis_client).open_ledger(Vault([decode_key(keys)]).fingerprint("reference"))

    line = run_that_is_refused(tmp_path, REDIS_URL=redis_url, LOGIN_KEYS=keys, SANDBOX="1")

    assert line.startswith("This ledger was begun in production")
    assert redis_client.keys() == [b"nightly:meta"]


@pytest.mark.parametrize(
    ("was_sandbox", "settings", "words"),
    [
        (True, {"FLINKS_AUTH_KEY": "a-key", "FLINKS_BASE_URL": "http://127.0.0.1:1"}, "as a sandbox"),
        (False, {}, "in production"),
    ],
)
def test_a_folder_used_with_the_emulator_is_never_used_with_the_real_flinks_or_the_reverse(
    tmp_path: Path,
    orphan_guard: OrphanGuard,
    was_sandbox: bool,  # noqa: FBT001 - a parameter of the test
    settings: dict[str, str],
    words: str,
) -> None:
    with EmbeddedRedis(tmp_path / ".nightly", guard=orphan_guard) as server, Redis.from_url(server.url) as client:
        Ledger(client).open_ledger("as an earlier run began it", is_sandbox=was_sandbox)

    line = run_that_is_refused(tmp_path, **settings)

    assert line.startswith(f"This ledger was begun {words}")
    assert "another folder, or remove .nightly/" in line
