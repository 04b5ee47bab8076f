"""A bulk replay under kills: each letter of its list is decided exactly once, whatever happens meanwhile.

Thousands of logins and some messages become dead letters; then most causes are removed. The command that prepares and
starts the replay is killed until a job runs. While it runs, all workers and Redis are killed, letters arrive, other
people close letters by hand and try to start the same, and newer events contradict it.
"""

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from redis.exceptions import RedisError

from sandbox.stack import wait_until
from tests.chaos.all_workers import AllWorkers
from tests.chaos.backfill import FAULTS
from tests.chaos.bulk_judgement import judge_bulk
from tests.chaos.bulk_letters import Drawn, draw, send
from tests.chaos.bulk_mischief import Mischief
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from tests.waiting import eventually
from worker.backfill.job_models import Job, JobStatus
from worker.errors import OutOfDate
from worker.ledger.audit import Actor
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs

SETTINGS = {
    "FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "1", "FLINKS_MAX_IN_FLIGHT": "40",
    "GATE_STORM_LOGINS": "100000", "EVENT_MAX_AHEAD_SECONDS": "1",
}  # fmt: skip
COMMAND = ("dead-letters", "replay", "--all", "--yes", "--no-wait")
BOB = Actor("bob", "operator", "page")


def bulk(
    folder: Path,
    *,
    letters: int = 10_000,
    kills: int = 8,
    start_kills: int = 8,
    redis_kills: int = 2,
    workers: int = 2,
    calls_per_second: int = 200,
    seed: int,
    say: Say,
) -> Report:
    """Prove that a bulk replay decides each letter once and that its report is exact."""
    sizes = {"letters": letters, "kills": kills, "start_kills": start_kills, "redis_kills": redis_kills}
    report = Report("A bulk replay, killed", sizes | {"workers": workers, "seed": seed})
    chance = Random(seed)
    with Scene(folder, SETTINGS | {"FLINKS_CALLS_PER_SECOND": str(calls_per_second)}) as scene:
        drawn = draw(letters, chance)
        crew = AllWorkers(scene, workers)
        crew.start()
        _make_letters(scene, drawn, say)
        scene.emulator.faults(*(fault | {"seed": chance.getrandbits(31)} for fault in FAULTS))
        job = _start_through_kills(scene, start_kills, chance, report, say)
        report.expect(job.total == letters, f"the list has {job.total} letters, not {letters}")
        mischief = Mischief(scene, job.id, drawn)
        with mischief:
            _run_through_kills(scene, crew, job, kills, redis_kills, chance, report, say)
        jobs = scene.services.jobs
        is_over = wait_until(
            lambda: jobs.get(job.id).status is JobStatus.FINISHED and scene.is_at_rest(), seconds=60 + letters / 20
        )
        report.expect(is_over, f"it did not end: {_state(scene, job.id)}")
        judge_bulk(scene, job.id, drawn, mischief, report)
    return report


def _make_letters(scene: Scene, drawn: Drawn, say: Say) -> None:
    """Make every letter by events and calls; then remove the causes, except for some logins."""
    scene.emulator.unknown_logins(*drawn.logins, *drawn.late)
    send(scene, drawn.first_events())
    wanted = drawn.letters
    is_open = lambda: scene.redis.zcard("nightly:letters:open") == wanted and scene.is_at_rest()  # noqa: E731 - once
    eventually(is_open, seconds=60 + wanted / 20, describe="the dead letters")
    say(f"{wanted} dead letters are open")
    scene.emulator.unknown_logins(*drawn.stay_unknown, *drawn.late)
    time.sleep(max(0, drawn.valid_at - time.time()))  # until then some messages are dated too far ahead
    drawn.ids = {raw.decode() for raw in scene.redis.zrange("nightly:letters:open", 0, -1)}


def _start_through_kills(scene: Scene, kills: int, chance: Random, report: Report, say: Say) -> Job:
    """Kill the command that prepares and starts the job, until a job runs; then a second start is refused."""
    killed: Counter[str] = Counter()
    for number in range(kills):
        look = _lists if number % 2 == 0 else _prepared
        before, process = look(scene), _command(scene)
        wait_until(lambda: process.poll() is not None or look(scene) > before, seconds=60, every_seconds=0.005)  # noqa: B023
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = [job.status.value for job in scene.services.jobs.all()]
        killed["running" if "running" in found else "prepared" if number % 2 else "a list in the making"] += 1
        if "running" in found:
            break
    else:
        assert _command(scene).wait(timeout=60) == 0
    say(f"the command was killed, by what its job was then: {dict(killed)}")
    report.figures["starts killed, by what the job was then"] = dict(killed)
    (job,) = scene.services.jobs.running()
    return job


def _lists(scene: Scene) -> int:
    """Return how many lists were begun."""
    return sum(1 for _ in scene.redis.scan_iter("nightly:backfill:job-*:chunks", count=10_000))


def _prepared(scene: Scene) -> int:
    """Return how many jobs were prepared."""
    return int(scene.redis.zcard("nightly:bulk-jobs"))


def _command(scene: Scene) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-m", "worker", *COMMAND]
    log = (scene.folder / "start.log").open("ab")
    with log:
        place = {"env": scene.stack.environment | {"COLUMNS": "200"}, "cwd": scene.stack.working_folder}
        return subprocess.Popen(argv, **place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)  # type: ignore[call-overload,no-any-return]


def _run_through_kills(
    scene: Scene, crew: AllWorkers, job: Job, kills: int, redis_kills: int, chance: Random, report: Report, say: Say
) -> None:
    hit: Counter[str] = Counter()
    for number in range(kills):
        target = int((number + chance.random()) / (kills + 0.5) * job.total)
        eventually(lambda: _is_at_work(scene, job.id, target), seconds=300, describe="the next kill")  # noqa: B023
        hit["letters waited"] += scene.services.jobs.get(job.id).decided < job.total
        hit["calls were in flight"] += bool(scene.in_flight())
        if number < redis_kills:
            crew.break_redis()
            hit["Redis killed"] += 1
        hit["second starts refused"] += _second_start_is_refused(scene, job.id, report)
        crew.kill()
        say(f"all workers killed {number + 1} times; {_state(scene, job.id)}")
    report.figures["all workers killed"] = f"{kills} times"
    report.figures["at these moments"] = dict(hit)
    report.expect(hit["letters waited"] == kills, f"kills came after the last decision: {dict(hit)}")
    report.expect(hit["second starts refused"], "no second start was tried in time")


def _is_at_work(scene: Scene, job_id: str, target: int) -> bool:
    return scene.services.jobs.get(job_id).decided >= target and scene.in_flight() > 0


def _second_start_is_refused(scene: Scene, job_id: str, report: Report) -> bool:
    """Try to do the same as another person; returns whether that was tried in time, and refused."""
    jobs = BulkJobs(scene.redis, calls_per_second=5)
    with suppress(RedisError):
        mine = jobs.prepare("replay", LetterFilter(code="INVALID_LOGIN"), by=BOB)
        was_at_work = scene.services.jobs.get(job_id)
        if was_at_work.decided == was_at_work.total:
            return False
        try:
            jobs.run(mine.id, by=BOB, typed=str(mine.total))
        except OutOfDate as error:
            return f"({job_id})" in str(error)
        is_over = scene.services.jobs.get(job_id).decided == was_at_work.total
        report.expect(is_over, "a second person started the same job")
    return False


def _state(scene: Scene, job_id: str) -> str:
    job = scene.services.jobs.get(job_id)
    counts = {name: count for name, count in job.counts.items() if count}
    return f"{job.status.value}, {job.decided} of {job.total} decided, {counts}"
