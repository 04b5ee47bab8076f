"""Starts the bulk job of the scenario, by a command and on the review page, both killed again and again."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from sandbox.stack import wait_until
from tests.chaos.bulk_page import ANN, ReviewPage
from tests.chaos.report import Report, Say
from tests.chaos.scene import Scene
from worker.backfill.job_models import Job

COMMAND = ("dead-letters", "replay", "--all", "--yes", "--no-wait")
MOST_TRIES = 30
"""To kill in the middle of one kind of request."""
LONGEST_CPU_MS = 8.0
"""A page takes about ten milliseconds of CPU time."""
PREPARED, STARTED, SHOWN = "while it prepared a job", "while it started the job", "while it showed the job"


def start_through_kills(
    scene: Scene, page: ReviewPage, sizes: tuple[int, int], chance: Random, hit: Counter[str], report: Report, say: Say
) -> Job:
    """Kill the web process and the command, while each prepares and starts the job; returns the job that runs.

    Either may be the one that has started it. The page says so to Ann if it was her start, and else refuses another.
    """
    command_kills, page_kills = sizes
    is_running = lambda: bool(scene.services.jobs.running())  # noqa: E731 - short
    prepare = partial(page.send, "/bulk", verb="replay", all="1")
    kill_page(page_kills, hit, PREPARED, lambda _: page.is_killed_during(prepare, until=_new_list(scene)))
    url = prepare().headers["location"]
    shown = page.get(url)
    report.expect("Run</button>" in shown.text, f"the prepared job is not shown: {shown.status_code}")
    total = scene.services.jobs.get(url.removeprefix("/bulk/")).total
    start = partial(page.send, f"{url}/run", typed=str(total))
    interrupt = lambda tried: page.is_killed_during(start, cpu_ms=cpu_ms(chance, tried))  # noqa: E731 - once
    kill_page(page_kills, hit, STARTED, interrupt, is_running)
    _kill_commands(scene, command_kills, report, say)
    if not is_running():
        hit["once the job ran, before it answered"] += page.is_killed_during(start, until=is_running)
    answer = start()
    (job,) = scene.services.jobs.running()
    wanted = 303 if job.starter == ANN.name else 409
    report.expect(answer.status_code == wanted, f"the start was answered {answer.status_code}, not {wanted}")
    return job


def _kill_commands(scene: Scene, kills: int, report: Report, say: Say) -> None:
    """Kill the command that prepares and starts a job, while it makes its list or once the job is prepared."""
    killed: Counter[str] = Counter()
    had_begun = bool(scene.services.jobs.running())
    for number in range(kills):
        look = _lists if number % 2 == 0 else _prepared
        before, process = look(scene), _command(scene)
        wait_until(lambda: process.poll() is not None or look(scene) > before, seconds=60, every_seconds=0.005)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait()
        if scene.services.jobs.running() and not had_begun:
            killed["once the job ran"] += 1
            break
        killed["while the job was prepared, not started" if number % 2 else "while it made the list"] += 1
    say(f"the command was killed {dict(killed)}")
    report.figures["the command that starts the job was killed"] = dict(killed)


def kill_page(
    kills: int, hit: Counter[str], what: str, kill: Callable[[int], bool], is_over: Callable[[], bool] = lambda: False
) -> None:
    """Kill the web process until that many kills were in the middle of a request, or it is over."""
    wanted = hit[what] + kills
    for number in range(MOST_TRIES):
        hit[what] += kill(number)
        if hit[what] == wanted or is_over():
            break


def cpu_ms(chance: Random, number: int) -> float:
    """Draw the CPU time after which a request is interrupted. The first kills come early, so that they are in time."""
    return chance.uniform(0.3, min(1.0 + number, LONGEST_CPU_MS))


def _new_list(scene: Scene) -> Callable[[], bool]:
    before = _lists(scene)
    return lambda: _lists(scene) > before


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
