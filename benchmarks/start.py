"""Measures a worker's start with one login due: from exec to the first call at Flinks, step by step."""

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.filling import bodies
from benchmarks.meter import cpu_seconds, family
from benchmarks.stub import Stub
from benchmarks.system import System, open_system
from benchmarks.tables import spread, table, verdict
from benchmarks.trace import Trace, follow
from sandbox.stack.waiting import wait_until

RUNS = 5
WITHIN_SECONDS = 30.0
GOAL_SECONDS = 3.0
STEPS = (
    ("begin", "imports done, ledger checked"),
    ("xreadgroup", "children forked, threads started"),
    ("pulse", "first pulse"),
    ("lpush", "reconcile message at Redis"),
    ("brpop", "consumer ready"),
    ("join_reconcilers", "reconciler requests its slot"),
    ("settle_and_claim", "claim"),
)
IMPORT = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( *)(\S+)")
SHOWN_IMPORTS = 12

Run = tuple[float, float, dict[str, float]]


def run(folder: Path, *, runs: int = RUNS) -> str:
    """Start a worker `runs` times, each with one login due; returns the report."""
    with Stub(folder) as stub, open_system(folder, stub.url) as system:
        found = [_start(system, stub) for _ in range(runs + 1)][
            1:
        ]  # the first run fills the disk's and Python's caches
        imports = _imports(system)
    return _report(found, imports)


def _start(system: System, stub: Stub) -> Run:
    """Return the seconds to the first call, the CPU seconds until then, and the time of each step."""
    stub.reset()
    system.services.intake.accept_bodies(list(bodies(1)))
    argv = [sys.executable, "-m", "celery", "-A", "worker", "worker"]
    argv += ["--without-gossip", "--without-mingle"]
    with Trace(system.redis) as trace:
        began_us = time.monotonic_ns() // 1000
        process = system.stack.start_process("worker-start", argv, ready=lambda _: stub.count())
        cpu = cpu_seconds(family(process.pid))
        wait_until(lambda: system.due() == 0, seconds=WITHIN_SECONDS)
    system.stack.stop_process(process)
    steps = {}
    for name, label in STEPS:  # each on its own: the threads and the consumer start concurrently
        at_us = follow(trace.steps, [(name, "")], began_us)[0]
        steps[label] = (at_us - began_us) / 1e6 if at_us else float("nan")
    return (stub.calls()[0].at_us - began_us) / 1e6, cpu, steps


def _imports(system: System) -> list[tuple[str, float, float]]:
    """Return the costliest packages: name, milliseconds in its own modules, and including its dependencies."""
    tasks = "tasks.account_linked, tasks.account_inactive, tasks.reconcile"
    code = f"import worker.celery_worker.app, {tasks}, celery.bin.celery"
    argv = [sys.executable, "-X", "importtime", "-c", code]
    environment = system.stack.environment
    output = subprocess.run(  # noqa: S603 - our own interpreter
        argv, env=environment, cwd=system.stack.folder, capture_output=True, text=True, check=True, timeout=60
    ).stderr
    own: dict[str, float] = {}
    whole: dict[str, float] = {}
    for line in output.splitlines():
        if match := IMPORT.match(line):
            package = match[4].partition(".")[0]
            own[package] = own.get(package, 0) + int(match[1]) / 1000
            whole[match[4]] = int(match[2]) / 1000
    ordered = sorted(own.items(), key=lambda pair: -pair[1])
    rows = [(name, taken, whole.get(name, taken)) for name, taken in ordered[:SHOWN_IMPORTS]]
    return [*rows, ("all", sum(own.values()), sum(own.values()))]


def _report(found: Sequence[Run], imports: Sequence[tuple[str, float, float]]) -> str:
    taken = [seconds for seconds, _, _ in found]
    text = f"## From exec of `celery -A worker worker` to the first call, {len(found)} runs, seconds\n\n"
    rows = [(label, spread([steps[label] for _, _, steps in found], 2)) for _, label in STEPS]
    rows.append(("PATCH at the stub", spread(taken, 2)))
    rows.append(("CPU until then, all its processes", spread([cpu for _, cpu, _ in found], 2)))
    text += table(("reached", "median (min - max)"), rows) + "\n"
    middle = statistics.median(taken)
    text += verdict(
        f"median {middle:.2f} s, max {max(taken):.2f} s, goal under {GOAL_SECONDS:g}", is_met=max(taken) < GOAL_SECONDS
    )
    text += "\nImports, one run with -X importtime (which slows them), ms:\n\n"
    costs = [(name, f"{own:.0f}", f"{whole:.0f}") for name, own, whole in imports]
    return text + table(("package", "own modules", "first import, with its dependencies"), costs)
