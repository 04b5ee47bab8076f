"""`tune`: tries a rival's settings against each other, so that the race runs it with its best ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from benchmarks.entries import ENTRIES, RIVALS_PYTHON, Entry
from benchmarks.race import run_heats

BY_NAME = {entry.name: entry for entry in ENTRIES}


def _tried(name: str, label: str, *extra: str, limit: int = 0, **environment: str) -> Entry:
    """Return an entry of the race with other settings; `extra` is added to its command lines, and wins there."""
    entry = BY_NAME[name]
    return replace(
        entry,
        name=f"{name}: {label}",
        processes=tuple((*argv, *extra) for argv in entry.processes),
        environment={**entry.environment, **environment},
        in_flight=dict.fromkeys(entry.pace, limit) if limit else entry.in_flight,
    )


def _prefork(label: str, children: int) -> Entry:
    entry = _tried("plain celery", label, "--pool", "prefork", "--concurrency", str(children))
    return replace(entry, processes=entry.processes[:1])


def _on_uvloop(label: str, *, limit: int) -> Entry:
    return replace(_tried("plain celery", label, limit=limit, BENCH_LOOP="uvloop"), python=RIVALS_PYTHON)


TRIED: Mapping[str, tuple[Entry, ...]] = {
    "bare loop": (
        *(_tried("bare loop", f"window {n} each", limit=2 * n) for n in (32, 128, 256)),
        replace(_tried("bare loop", "window 256 each, uvloop", limit=512, BENCH_LOOP="uvloop"), python=RIVALS_PYTHON),
    ),
    "plain celery": (
        _prefork("prefork, 2 children", 2),
        _prefork("prefork, 16 children", 16),
        *(_tried("plain celery", f"2 workers, {n} threads each", limit=2 * n) for n in (8, 16, 32, 64, 128, 256)),
        _tried("plain celery", "2 workers, 32 threads each, prefetch 1", limit=64, BENCH_PREFETCH="1"),
        _tried("plain celery", "2 workers, 32 threads each, prefetch 16", limit=64, BENCH_PREFETCH="16"),
        *(_on_uvloop(f"2 workers, {n} threads each, uvloop", limit=2 * n) for n in (8, 32, 128)),
    ),
    "dramatiq": (
        *(_tried("dramatiq", f"{n} threads each, uvloop", limit=2 * n) for n in (8, 16, 32, 64, 128, 256)),
        _tried("dramatiq", "64 threads each, asyncio's loop", limit=128, BENCH_LOOP="asyncio"),
        _tried("dramatiq", "64 threads each, prefetch 1000", limit=128, dramatiq_queue_prefetch="1000"),
    ),
    "taskiq": (
        *(_tried("taskiq", f"stream, {n} tasks each", limit=2 * n) for n in (32, 100, 256)),
        _tried("taskiq", "stream, 256 tasks each, 1000 read at once", limit=512, BENCH_READ="1000"),
        _tried("taskiq", "stream, 256 tasks each, 300 connections", limit=512, BENCH_READ="1000", BENCH_POOL="300"),
        _tried("taskiq", "stream, 256 tasks each, prefetch 256", "--max-prefetch", "256", limit=512),
        _tried("taskiq", "stream, 256 tasks each, unchecked", "--no-parse", limit=512, BENCH_READ="1000"),
        _tried("taskiq", "stream, ack when received", "--ack-type", "when_received", limit=512, BENCH_POOL="300"),
        _tried("taskiq", "list, 256 tasks each", limit=512, BENCH_BROKER="list"),
        _tried("taskiq", "list, 256 tasks each, prefetch 256", "--max-prefetch", "256", limit=512, BENCH_BROKER="list"),
    ),
    "arq": (
        *(_tried("arq", f"{n} jobs each, poll 10 ms, uvloop", limit=2 * n) for n in (10, 32, 64, 128, 256)),
        _tried("arq", "64 jobs each, poll 1 ms, uvloop", limit=128, BENCH_POLL="0.001"),
        _tried("arq", "64 jobs each, poll 50 ms, uvloop", limit=128, BENCH_POLL="0.05"),
        _tried("arq", "64 jobs each, 64 read at once, uvloop", limit=128, BENCH_READ="64"),
        _tried("arq", "64 jobs each, asyncio's loop", limit=128, BENCH_LOOP="asyncio"),
    ),
    "saq": (
        *(_tried("saq", f"{n} jobs each, uvloop", limit=2 * n) for n in (10, 32, 64, 128, 256)),
        _tried("saq", "64 jobs each, asyncio's loop", limit=128, BENCH_LOOP="asyncio"),
    ),
}


def tune(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(TRIED)}.")],
    delays: Annotated[str, typer.Option(help="Delays of the stub in ms, with commas.")] = "0,50",
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    seconds: Annotated[float, typer.Option(min=1, help="About how long a heat takes.")] = 4,
) -> None:
    """Run a rival with all settings that were tried."""
    run_heats(TRIED[name], [int(delay) for delay in delays.split(",")], rounds=rounds, seconds=seconds)
