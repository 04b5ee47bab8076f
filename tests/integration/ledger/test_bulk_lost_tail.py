"""A bulk job after Redis lost the newest of its append-only file: what is left is consistent, and ends as it should."""

import shutil
from collections import Counter
from pathlib import Path

from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.integration.ledger.bulk_parts import counts, start_job
from tests.integration.ledger.conftest import INSTANCE
from tests.integration.ledger.many_letters import file_letters
from tests.people import ANN
from worker.backfill.job_models import JobStatus
from worker.backfill.job_store import Jobs
from worker.errors import UnknownJob
from worker.ledger.audit import AuditLog
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs

REPLAYED, RESOLVED = 12, 520
REPLAY, RESOLVE = LetterFilter(code="INVALID_LOGIN"), LetterFilter(code="LOCKED_LOGIN")


def test_a_job_whose_end_redis_has_lost_is_consistent_and_decides_each_letter_once(
    tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    # Unlike `everysec`, `no` never delays a write while an earlier fsync takes long: the sizes are exact.
    whole = EmbeddedRedis(tmp_path / "whole", guard=orphan_guard, appendfsync="no")
    with whole as server, Redis.from_url(server.url) as client:
        _file(client)
        log = max(server.data_folder.rglob("*.aof"), key=lambda path: path.stat().st_size)
        ids, marks = _work(client, log)
        server.kill()
    seen = Counter[str]()
    for cut in _cuts(marks):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / f"cut-{cut}", ignore=shutil.ignore_patterns("*.sock"))
        with next(folder.rglob(log.name)).open("r+b") as copy:
            copy.truncate(cut)
        with EmbeddedRedis(folder, guard=orphan_guard) as server, Redis.from_url(server.url) as client:
            seen.update(_status_if_consistent(client, job_id) for job_id in ids)
            _judge_end(client)
    assert seen.keys() == {"unknown", "prepared", "running", "finished"}, seen


def _cuts(marks: list[int]) -> list[int]:
    """Return sizes of the file to keep: in the middle of the first job, of a start and of the work, and at the end."""
    filed, began, prepared, started, ended = marks
    return [(filed + 2 * began) // 3, prepared, (prepared + started) // 2, (started + ended) // 2, ended]


def _file(client: Redis) -> None:
    client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    codes = ["INVALID_LOGIN"] * REPLAYED + ["LOCKED_LOGIN"] * RESOLVED
    file_letters(client, ({"id": f"dl-{at}", "created_at": at, "code": code} for at, code in enumerate(codes)))


def _work(client: Redis, log: Path) -> tuple[tuple[str, str], list[int]]:
    """Run two jobs; returns their ids, and the size of the log before each and after each step of the second."""
    bulk, jobs = BulkJobs(client, calls_per_second=10), Jobs(client)
    marks = [log.stat().st_size]
    first = start_job(bulk, "replay", REPLAY)
    _feed(jobs, first, 5)
    marks.append(log.stat().st_size)
    second = bulk.prepare("resolve", RESOLVE, by=ANN, note="x").id
    for act in (lambda: None, lambda: bulk.run(second, by=ANN, typed=str(RESOLVED)), lambda: _feed(jobs, second, 60)):
        act()
        marks.append(log.stat().st_size)
    return (first, second), marks


def _feed(jobs: Jobs, job_id: str, at_a_time: int) -> None:
    while any(jobs.feed(job_id, 0, at_a_time, fingerprint="proven-one")[1] for _ in range(2)):
        pass


def _status_if_consistent(client: Redis, job_id: str) -> str:
    """Return the status of a job, after checks that its cursor, its rows and its letters say the same."""
    bulk = BulkJobs(client, calls_per_second=10)
    try:
        job = bulk.get(job_id)
    except UnknownJob:
        return "unknown"
    (segment,) = job.segments
    ids = [f"dl-{at}" for at in range(REPLAYED + RESOLVED)]
    done = {each for each in ids if client.hget(f"nightly:letter:{each}", "job") == job_id.encode()}
    in_order = [one.letter for one in bulk.report(job_id)]
    assert done == set(in_order[: segment.at])
    assert job.decided == segment.at
    assert Counter(one.outcome.value for one in bulk.report(job_id)) == counts(bulk, job_id)
    assert (job.status is JobStatus.PREPARED) <= (not done)
    return job.status.value


def _judge_end(client: Redis) -> None:
    """Do what people and workers do next, and check that each letter was decided once."""
    bulk, jobs = BulkJobs(client, calls_per_second=10), Jobs(client)
    known = {job.selection: job for job in bulk.list()}
    for verb, selection in (("replay", REPLAY), ("resolve", RESOLVE)):
        job = known.get(f"code {selection.code}") or bulk.prepare(verb, selection, by=ANN, note="x")
        if job.status is JobStatus.PREPARED:
            bulk.run(job.id, by=ANN, typed=str(job.total))
        _feed(jobs, job.id, 50)
        assert counts(bulk, job.id) == ({"waiting": REPLAYED} if verb == "replay" else {"resolved": RESOLVED})
    assert int(client.hget(f"nightly:tally:{INSTANCE}", "replayed") or 0) == REPLAYED
    assert client.zcard(f"nightly:due:{INSTANCE}:backfill") == REPLAYED
    assert client.zcard("nightly:letters:open") == 0
    audit = AuditLog(client)
    assert [entry.action for entry in audit.entries()] == ["bulk.run"] * 2
    assert audit.verify().broken_at is None
