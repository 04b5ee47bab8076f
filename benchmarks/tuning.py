"""`tune`: compares settings of a rival, so that the race runs it with its best ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from benchmarks.contender_list import ENTRIES, Entry
from benchmarks.race import run_heats

BY_NAME = {entry.name: entry for entry in ENTRIES}


def _tried(name: str, label: str, *extra: str, limit: int = 0, **environment: str) -> Entry:
    """Return an entry with other settings; `extra` is appended to its command lines and overrides them."""
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


def _list(label: str, *extra: str) -> Entry:
    return _tried("taskiq", f"list, {label}", *extra, limit=512, BENCH_BROKER="list")


TRIED: Mapping[str, tuple[Entry, ...]] = {
    "bare loop": (
        *(_tried("bare loop", f"window {n} each", limit=2 * n) for n in (32, 128, 256)),
        _tried("bare loop", "window 256 each, asyncio's loop", limit=512, BENCH_LOOP="asyncio"),
    ),
    "plain celery": (
        _prefork("prefork, 2 children", 2),
        _prefork("prefork, 16 children", 16),
        *(_tried("plain celery", f"2 x {n} threads", limit=2 * n) for n in (8, 16, 32, 64, 128, 256)),
        _tried("plain celery", "2 x 128 threads, asyncio's loop", limit=256, BENCH_LOOP="asyncio"),
        _tried("plain celery", "2 x 32 threads, prefetch 1", limit=64, BENCH_PREFETCH="1"),
        _tried("plain celery", "2 x 32 threads, prefetch 16", limit=64, BENCH_PREFETCH="16"),
    ),
    "dramatiq": (
        *(_tried("dramatiq", f"2 x {n} threads", limit=2 * n) for n in (8, 16, 32, 64, 128, 256)),
        _tried("dramatiq", "2 x 128 threads, asyncio's loop", limit=256, BENCH_LOOP="asyncio"),
        _tried("dramatiq", "2 x 64 threads, prefetch 1000", limit=128, dramatiq_queue_prefetch="1000"),
    ),
    "taskiq": (
        *(_tried("taskiq", f"stream, 2 x {n} tasks", limit=2 * n) for n in (32, 100, 256)),
        _tried("taskiq", "stream, 2 x 256 tasks, 50 connections", limit=512, BENCH_POOL="50"),
        _tried("taskiq", "stream, 2 x 256 tasks, 1000 read at once", limit=512, BENCH_READ="1000"),
        _tried("taskiq", "stream, 2 x 256 tasks, prefetch 256", "--max-prefetch", "256", limit=512),
        _tried("taskiq", "stream, 2 x 256 tasks, arguments unchecked", "--no-parse", limit=512),
        _tried("taskiq", "stream, 2 x 256 tasks, ack when received", "--ack-type", "when_received", limit=512),
        _list("2 x 256 tasks"),
        _list("2 x 256 tasks, prefetch 256", "--max-prefetch", "256"),
    ),
    "arq": (
        *(_tried("arq", f"2 x {n} jobs", limit=2 * n) for n in (10, 32, 64, 128, 256)),
        _tried("arq", "2 x 128 jobs, poll 1 ms", limit=256, BENCH_POLL="0.001"),
        _tried("arq", "2 x 128 jobs, poll 50 ms", limit=256, BENCH_POLL="0.05"),
        _tried("arq", "2 x 128 jobs, 128 read at once", limit=256, BENCH_READ="128"),
        _tried("arq", "2 x 128 jobs, asyncio's loop", limit=256, BENCH_LOOP="asyncio"),
    ),
    "saq": (
        *(_tried("saq", f"2 x {n} jobs", limit=2 * n) for n in (10, 32, 64, 128, 256)),
        _tried("saq", "2 x 128 jobs, asyncio's loop", limit=256, BENCH_LOOP="asyncio"),
    ),
}


def tune(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(TRIED)}.")],
    delays: Annotated[str, typer.Option(help="Delays of the stub in ms, comma-separated.")] = "0,50",
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate duration of a heat.")] = 4,
) -> None:
    """Run a rival with each of its listed settings."""
    run_heats(TRIED[name], [int(delay) for delay in delays.split(",")], rounds=rounds, seconds=seconds)
