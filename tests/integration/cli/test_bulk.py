"""`nightly bulk`, and the bulk jobs that `nightly dead-letters replay | resolve` start."""

import csv
import io
import json
import time

import pytest
import typer
from redis import Redis

from tests.integration.command import Command
from tests.integration.ledger.many_letters import file_letters
from tests.people import ANN
from worker.cli import bulk_decisions
from worker.cli.bulk import follow
from worker.ledger import Ledger
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs


@pytest.fixture
def nightly(
    redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "canary-key", "COLUMNS": "100"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Command(capfd, never_shown="canary")


@pytest.fixture
def bulk(redis_client: Redis) -> BulkJobs:
    return BulkJobs(redis_client, calls_per_second=5)


def file_many(client: Redis, count: int, **changes: object) -> None:
    file_letters(client, ({"id": f"dl-{at}", "created_at": 1_700_000_000_000 + at} | changes for at in range(count)))


def worker_is_alive(client: Redis) -> None:
    Ledger(client).pulse({}, worker="w@host", slots=2)


def test_several_letters_are_replayed_as_a_job_that_can_be_looked_at_later(
    nightly: Command, redis_client: Redis, bulk: BulkJobs
) -> None:
    file_many(redis_client, 3)
    done = nightly("dead-letters", "replay", "dl-0", "dl-2")
    (job,) = bulk.list()
    assert (done.returncode, "In total: 2 replayed" in done.stdout) == (0, True)
    assert f"nightly bulk show {job.id}" in done.stderr
    assert job.id in nightly("bulk", "list").stdout
    shown = nightly("bulk", "show", job.id)
    assert "chosen one by one" in shown.stdout
    assert (shown.returncode, "No worker is alive" in shown.stdout) == (1, True), "its calls wait for a worker"
    report = list(csv.DictReader(io.StringIO(nightly("bulk", "report", job.id).stdout)))
    assert [(row["letter"], row["outcome"]) for row in report] == [("dl-0", "waiting"), ("dl-2", "waiting")]
    assert redis_client.hget("nightly:letter:dl-1", "status") == b"open"
    assert nightly("dead-letters", "replay", "dl-1").returncode == 0
    assert len(bulk.list()) == 1, "a single letter needs no job"


def test_a_command_that_waits_for_workers_says_so_and_leaves_the_job_running(
    nightly: Command, redis_client: Redis, bulk: BulkJobs
) -> None:
    file_many(redis_client, 20)
    done = nightly("dead-letters", "replay", "--all")
    assert (done.returncode, "No worker is alive" in done.stderr) == (1, True)
    assert "In total: 16 replayed, 4 waiting" in done.stdout
    assert bulk.list()[0].status == "running"
    again = nightly("dead-letters", "replay", "--all")
    assert (again.returncode, "Nothing was done" in again.stderr) == (1, True)


def test_a_job_can_be_started_without_waiting_and_steered(
    nightly: Command, redis_client: Redis, bulk: BulkJobs
) -> None:
    file_many(redis_client, 2)
    worker_is_alive(redis_client)
    assert nightly("dead-letters", "resolve", "--all", "--note", "cleanup", "--no-wait", "--rate", "9").stdout == ""
    (job,) = bulk.list()
    assert (job.decided, job.note, job.rate) == (0, "cleanup", 9)
    assert "is paused" in nightly("bulk", "pause", job.id).stdout
    paused = nightly("bulk", "show", job.id, "--json")
    assert (paused.returncode, json.loads(paused.stdout)["standstill"][:12]) == (1, "It is paused")
    assert nightly("bulk", "resume", job.id).returncode == 0
    assert nightly("bulk", "show", job.id, "--follow").returncode == 0
    assert bulk.get(job.id).status == "finished"
    assert nightly("bulk", "cancel", job.id).returncode == 1


def test_ctrl_c_stops_the_command_and_not_the_job(
    nightly: Command, redis_client: Redis, bulk: BulkJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_many(redis_client, 20)
    worker_is_alive(redis_client)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "time", type("Time", (), {"sleep": interrupt, "monotonic": time.monotonic}))
    done = nightly("dead-letters", "replay", "--all")
    (job,) = bulk.list()
    assert (done.returncode, f"The job continues. Show it: nightly bulk show {job.id}" in done.stderr) == (1, True)
    assert (job.status, job.decided) == ("running", 16)
    assert "The job continues" in nightly("bulk", "show", job.id, "--follow").stderr


def test_a_person_at_a_terminal_sees_the_preflight_and_confirms_it(
    nightly: Command, redis_client: Redis, bulk: BulkJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_many(redis_client, 101)
    monkeypatch.setattr(bulk_decisions, "is_terminal", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "100")
    done = nightly("dead-letters", "resolve", "--all", "--note", "x")
    assert (done.returncode, bulk.list()[0].status) == (1, "cancelled")
    assert "Resolve 101 letters: 101 will be resolved" in done.stderr
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: "101 ")
    assert nightly("dead-letters", "resolve", "--all", "--note", "x").returncode == 0
    file_many(redis_client, 2)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    assert nightly("dead-letters", "replay", "--all").returncode == 1
    assert nightly("dead-letters", "replay", "--all", "--yes").returncode == 0


def test_a_job_that_was_prepared_elsewhere_is_shown_with_its_preflight_and_started(
    nightly: Command, redis_client: Redis, bulk: BulkJobs
) -> None:
    file_many(redis_client, 101)
    job = bulk.prepare("replay", LetterFilter(), by=ANN)
    shown = nightly("bulk", "show", job.id).stdout
    assert "101 will be called; about 2 s at 50 calls/s" in shown
    assert nightly("bulk", "run", job.id).returncode == 1
    assert json.loads(nightly("bulk", "count", job.id, "--json").stdout)["called"] == 101
    assert nightly("bulk", "count", job.id).stdout.startswith("Counted ")
    assert nightly("bulk", "run", job.id, "--type", "101", "--rate", "2.5").returncode == 0
    assert (bulk.get(job.id).starter != "ann", bulk.get(job.id).rate) == (True, 2.5)
    assert nightly("bulk", "count", job.id).returncode == 1


def test_without_a_matching_letter_or_job_the_answer_says_so(nightly: Command) -> None:
    nothing = nightly("dead-letters", "replay", "--all")
    assert (nothing.returncode, nothing.stdout) == (0, "0 letters: none is open\n")
    assert nightly("dead-letters", "replay", "--all", "--json").stdout == ""
    assert "There is no bulk job" in nightly("bulk", "list").stdout
    unknown = nightly("bulk", "show", "job-none")
    assert (unknown.returncode, "there is no bulk job 'job-none'" in unknown.stderr) == (1, True)
