"""The list of contenders: the processes, settings and backlog length of each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.vault.vault import new_key

ROOT = Path(__file__).resolve().parents[1]
RIVALS_PYTHON = ROOT / ".venv-rivals" / "rivals" / "bin" / "python"
ARQ_PYTHON = ROOT / ".venv-rivals" / "arq" / "bin" / "python"
PYTHON = Path(sys.executable)
CELERY = ("-m", "celery")
PACKAGE = "benchmarks.contenders"
LOGIN_KEYS = new_key()


@dataclass(frozen=True)
class Entry:
    """One contender.

    `pace` is the expected rate in events a second at each delay in milliseconds; it only decides the length of the
    backlog. `processes` are command lines for `python`, in which `{half}` is half the in-flight limit. `root` is the
    checkout whose code runs.
    """

    name: str
    publish: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]
    settings: str
    pace: Mapping[int, float]
    python: Path = PYTHON
    root: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    in_flight: Mapping[int, int] | None = None
    """Maximum calls at once over all its processes, if the race's limit is not its best."""

    def events(self, delay_ms: int, seconds: float) -> int:
        """Return the number of events for a run of about `seconds`."""
        return max(50, round(self.pace[delay_ms] * seconds))

    def most_in_flight(self, delay_ms: int) -> int:
        """Return the maximum number of calls in flight over all its processes."""
        return (self.in_flight or IN_FLIGHT)[delay_ms]


IN_FLIGHT = {0: 512, 50: 512, 200: 256}

_NIGHTLY = {
    "LOGIN_KEYS": LOGIN_KEYS,
    "FLINKS_AUTH_KEY": "bench-key",
    "FLINKS_CALLS_PER_SECOND": "100000",
    "REDIS_URL": "{redis}",
    "FLINKS_BASE_URL": "{stub}",
    "FLINKS_MAX_IN_FLIGHT": "{limit}",
    "LOG_LEVEL": "WARNING",  # the rivals log no line for each event either
}
_NIGHTLY_WORKER = ((*CELERY, "-A", "worker", "worker", "--without-gossip", "--without-mingle"),)
# Twice as long at 200 ms: the first call goes alone, to prove the configuration, and must weigh little.
_NIGHTLY_PACE = {0: 7000, 50: 5000, 200: 2500}

_PLAIN_WORKER = (
    *CELERY,
    *("-A", f"{PACKAGE}.plain_celery", "worker", "--pool", "threads", "--concurrency", "{half}"),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)

ENTRIES = (
    Entry(
        "nightly",
        publish=("-m", f"{PACKAGE}.nightly"),
        processes=_NIGHTLY_WORKER,
        settings="one worker, default concurrency, LOG_LEVEL=WARNING; backlog in the stream; sealing, ledger, settling "
        "as in production",
        pace=_NIGHTLY_PACE,
        environment=_NIGHTLY,
    ),
    Entry(
        "nightly at INFO",
        publish=("-m", f"{PACKAGE}.nightly"),
        processes=_NIGHTLY_WORKER,
        settings="the same, LOG_LEVEL=INFO, its default: a log line for each event and for each call, to a file",
        pace=_NIGHTLY_PACE,
        environment=_NIGHTLY | {"LOG_LEVEL": "INFO"},
    ),
    Entry(
        "nightly from the ledger",
        publish=("-m", f"{PACKAGE}.nightly", "{count}", "record"),
        processes=_NIGHTLY_WORKER,
        settings="the same worker; backlog recorded before, as after an outage of Flinks",
        pace=_NIGHTLY_PACE,
        environment=_NIGHTLY,
    ),
    Entry(
        "bare loop",
        publish=("-m", f"{PACKAGE}.bare_loop"),
        processes=(("-m", f"{PACKAGE}.bare_loop", "work"),) * 2,
        settings="2 processes on uvloop, each XREADGROUP 200 at a time, a window of half the limit, XACK in batches",
        pace={0: 11000, 50: 7000, 200: 2500},
    ),
    Entry(
        "naive celery",
        publish=("-m", f"{PACKAGE}.naive_celery"),
        processes=((*CELERY, "-A", f"{PACKAGE}.naive_celery", "worker", "--concurrency", "2"),),
        settings="prefork, 2 children, httpx.patch in each task, autoretry_for; all else default",
        pace={0: 45, 50: 25, 200: 9},
        in_flight=dict.fromkeys(IN_FLIGHT, 2),
    ),
    Entry(
        "plain celery",
        publish=("-m", f"{PACKAGE}.plain_celery"),
        processes=(_PLAIN_WORKER, _PLAIN_WORKER),
        settings="2 workers, 128 threads each (--pool threads), one uvloop and one transport a worker; acks early, "
        "no results, prefetch 4 a thread, no rate limits, events, gossip, mingle or heartbeat, log level WARNING",
        pace={0: 800, 50: 700, 200: 500},
        python=RIVALS_PYTHON,
        environment={"BENCH_PREFETCH": "4"},
        in_flight=dict.fromkeys(IN_FLIGHT, 256),
    ),
    Entry(
        "dramatiq",
        publish=("-m", f"{PACKAGE}.on_dramatiq"),
        processes=(
            (
                *("-m", "dramatiq", f"{PACKAGE}.on_dramatiq", "--processes", "2"),
                *("--threads", "{half}", "--skip-logging"),
            ),
        ),
        settings="2 processes, 128 threads each, middlewares AsyncIO (on uvloop) and Retries alone",
        pace={0: 2000, 50: 1500, 200: 900},
        python=RIVALS_PYTHON,
        in_flight=dict.fromkeys(IN_FLIGHT, 256),
    ),
    Entry(
        "taskiq",
        publish=("-m", f"{PACKAGE}.on_taskiq"),
        processes=(
            (
                *("-m", "taskiq", "worker", f"{PACKAGE}.on_taskiq:broker", "--workers", "2", "--log-level", "WARNING"),
                *("--max-async-tasks", "{half}"),
            ),
        ),
        settings="2 processes on uvloop, 256 tasks each (128 at 200 ms), stream broker, 100 read at once, "
        "300 connections each",
        pace={0: 2000, 50: 1400, 200: 1000},
        python=RIVALS_PYTHON,
        environment={"BENCH_POOL": "300"},
    ),
    Entry(
        "arq",
        publish=("-m", f"{PACKAGE}.on_arq"),
        processes=(("-m", "arq", f"{PACKAGE}.on_arq.WorkerSettings", "--custom-log-dict", f"{PACKAGE}.on_arq.QUIET"),)
        * 2,
        settings="2 processes on uvloop, 128 jobs each, poll 10 ms, no results kept or logged",
        pace={0: 900, 50: 500, 200: 400},
        python=ARQ_PYTHON,
        in_flight=dict.fromkeys(IN_FLIGHT, 256),
    ),
    Entry(
        "saq",
        publish=("-m", f"{PACKAGE}.on_saq"),
        processes=(("-m", "saq", f"{PACKAGE}.on_saq.settings"),) * 2,
        settings="2 processes on uvloop, 128 jobs each, no results kept",
        pace={0: 1500, 50: 1300, 200: 900},
        python=RIVALS_PYTHON,
        in_flight=dict.fromkeys(IN_FLIGHT, 256),
    ),
)
