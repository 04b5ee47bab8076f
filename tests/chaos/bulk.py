"""A bulk replay under kills: each letter of its list is decided exactly once, whatever happens meanwhile.

Thousands of logins and some messages become dead letters; then most causes are removed. The command that prepares and
starts the replay is killed, and so is the web process of the review page while it prepares, starts and shows the job.
While the job runs, all workers and Redis are killed, letters arrive, other people close letters by hand and try to
start the same, and newer events contradict it.
"""

import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

from redis.exceptions import RedisError

from sandbox.stack import wait_until
from tests.chaos.all_workers import AllWorkers
from tests.chaos.backfill import FAULTS
from tests.chaos.bulk_judgement import judge_bulk
from tests.chaos.bulk_letters import Drawn, draw, send
from tests.chaos.bulk_mischief import Mischief
from tests.chaos.bulk_page import SETTINGS as PAGE_SETTINGS
from tests.chaos.bulk_page import ReviewPage
from tests.chaos.bulk_start import PREPARED, SHOWN, STARTED, cpu_ms, kill_page, start_through_kills
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
BOB = Actor("bob", "operator", "page")


def bulk(
    folder: Path,
    *,
    letters: int = 10_000,
    kills: int = 8,
    start_kills: int = 8,
    page_kills: int = 3,
    redis_kills: int = 2,
    workers: int = 2,
    calls_per_second: int = 200,
    seed: int,
    say: Say,
) -> Report:
    """Prove that a bulk replay decides each letter once and that its report is exact."""
    sizes = {
        "letters": letters,
        "kills": kills,
        "start_kills": start_kills,
        "page_kills": page_kills,
        "redis_kills": redis_kills,
    }
    report = Report("A bulk replay, killed", sizes | {"workers": workers, "seed": seed})
    chance = Random(seed)
    hit: Counter[str] = Counter()
    with Scene(folder, SETTINGS | PAGE_SETTINGS | {"FLINKS_CALLS_PER_SECOND": str(calls_per_second)}) as scene:
        drawn = draw(letters, chance)
        crew = AllWorkers(scene, workers)
        crew.start()
        _make_letters(scene, drawn, say)
        scene.emulator.faults(*(fault | {"seed": chance.getrandbits(31)} for fault in FAULTS))
        page = ReviewPage(scene).start()
        job = start_through_kills(scene, page, (start_kills, page_kills), chance, hit, report, say)
        report.expect(job.total == letters, f"the list has {job.total} letters, not {letters}")
        mischief = Mischief(scene, job.id, drawn)
        with mischief:
            _run_through_kills(scene, crew, page, job, (kills, redis_kills), chance, hit, report, say)
        _judge_page_kills(page, job, hit, report, say)
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


def _run_through_kills(
    scene: Scene, crew: AllWorkers, page: ReviewPage, job: Job, sizes: tuple[int, int], chance: Random,
    hit: Counter[str], report: Report, say: Say,
) -> None:  # fmt: skip
    (kills, redis_kills), moments = sizes, Counter[str]()
    show = partial(page.get, f"/bulk/{job.id}")
    for number in range(kills):
        target = int((number + chance.random()) / (kills + 0.5) * job.total)
        eventually(lambda: _is_at_work(scene, job.id, target), seconds=300, describe="the next kill")  # noqa: B023
        moments["letters waited"] += scene.services.jobs.get(job.id).decided < job.total
        moments["calls were in flight"] += bool(scene.in_flight())
        if number < redis_kills:
            crew.break_redis()
            moments["Redis killed"] += 1
        moments["second starts refused"] += _second_start_is_refused(scene, job.id, report)
        kill_page(1, hit, SHOWN, lambda tried: page.is_killed_during(show, cpu_ms=cpu_ms(chance, tried)))
        crew.kill()
        say(f"all workers killed {number + 1} times; {_state(scene, job.id)}")
    report.figures["all workers killed"] = f"{kills} times"
    report.figures["at these moments"] = dict(moments)
    report.expect(moments["letters waited"] == kills, f"kills came after the last decision: {dict(moments)}")
    report.expect(moments["second starts refused"], "no second start was tried in time")


def _judge_page_kills(page: ReviewPage, job: Job, hit: Counter[str], report: Report, say: Say) -> None:
    say(f"the web process was killed {dict(hit)}")
    report.figures["the web process was killed"] = dict(hit)
    for what in (PREPARED, STARTED, SHOWN):
        report.expect(hit[what], f"the web process was never killed {what}")
    shown = page.get(f"/bulk/{job.id}")
    report.expect("Results</h2>" in shown.text, f"the page does not show the job after the kills: {shown.status_code}")


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
    counts = {str(name): count for name, count in job.counts.items() if count}
    return f"{job.status.value}, {job.decided} of {job.total} decided, {counts}"
