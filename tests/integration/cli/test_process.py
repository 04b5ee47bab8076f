"""The `nightly` command for scripts: a process with an exit status, standard input, pipes and signals."""

import json
import os
import signal
import subprocess
import sys

import pytest
from redis import Redis

from tests.places import ROOT
from worker.ledger import Letters, Message

COMMAND = (sys.executable, "-m", "worker")


@pytest.fixture
def environment(redis_url: str, login_keys: str) -> dict[str, str]:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "canary-key"}
    return os.environ | settings | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def run(
    environment: dict[str, str], *arguments: str, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment | settings, input=stdin,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_events_from_standard_input_are_published_and_reported_on_standard_output(
    environment: dict[str, str], redis_client: Redis
) -> None:
    done = run(environment, "publish", "linked", "--login-id", "-", "--event-id", "evt-9", stdin="canary\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Published event evt-9.\n", "")
    assert redis_client.xlen("account-events:stream") == 1


def test_errors_go_to_standard_error_with_an_exit_status_for_scripts(environment: dict[str, str]) -> None:
    wrong = run(environment, "status", LOG_LEVEL="canary")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.partition(":")[0]) == (2, "", "LOG_LEVEL")
    away = run(environment, "health", REDIS_URL="redis://:canary@127.0.0.1:1/0")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr == "Nothing listens at 127.0.0.1:1. Start Redis there, or correct REDIS_URL.\n"


def test_status_watch_refreshes_and_ends_without_a_traceback(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "worker", "status", "--watch", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        ages = [json.loads(watch.stdout.readline())["read_at"] for _ in range(2)]
        watch.send_signal(signal.SIGINT)
        _, told = watch.communicate(timeout=20)
    assert ages[0] < ages[1]
    assert (watch.returncode, told) == (0, "")


def test_options_are_completed_in_a_shell(environment: dict[str, str]) -> None:
    words = {"_NIGHTLY_COMPLETE": "complete_bash", "COMP_WORDS": "nightly dead-letters list --sus", "COMP_CWORD": "3"}
    assert "--suspects" in run(environment, **words).stdout


def test_no_traceback_appears_when_the_reader_of_the_pipe_closes_early(
    environment: dict[str, str], redis_client: Redis
) -> None:
    letters = Letters(redis_client)
    for number in range(2000):
        letters.keep_rejected([Message(f"iv-{number}", "invalid_event", "x" * 200, "stream", 1)])
    command = f"{sys.executable} -m worker dead-letters list --json | head -1"
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["code"] == "invalid_event"
    assert "Traceback" not in done.stderr
