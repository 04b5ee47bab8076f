"""Sets up what a benchmark measures: a Redis of its own, real workers, and the ledger as this process sees it.

Nothing but the rate ceiling differs from the defaults, and that only where a benchmark says so.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import uuid4

from sandbox.stack import EmbeddedStack
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.readiness import answers_ping
from sandbox.stack.stack import Ready
from worker.broker.celery_config import default_concurrency
from worker.services import Services, build_services

NO_CEILING = {"FLINKS_CALLS_PER_SECOND": "100000"}
"""For what measures the system and not the ceiling of 50 calls/s that it keeps by default."""
INSTANCE = "toolbox"


@dataclass(frozen=True)
class System:
    """A stack without workers until `start_worker`, and the services that a worker of it would build."""

    stack: EmbeddedStack
    services: Services

    @property
    def redis(self) -> Any:
        """The ledger's Redis, replies as bytes."""
        return self.services.redis

    @property
    def redis_pid(self) -> int:
        """The process id of the Redis server."""
        if self.stack.redis is None:
            raise AssertionError("a benchmark brings its own Redis")
        return self.stack.redis.pid

    def start_worker(self, concurrency: int | None = None) -> ManagedProcess:
        """Start a real worker, as many children as by default unless said, and wait until it takes messages."""
        return self.stack.start_worker(concurrency=concurrency or default_concurrency())

    def start_plain_worker(self, *, concurrency: int = 2, ready: Ready | None = None) -> ManagedProcess:
        """Start the worker of benchmarks/plain_celery.py on this Redis' database 1; ready when it answers a ping."""
        argv = ["-m", "celery", "-A", "benchmarks.plain_celery", "worker", "-n", "plain@%h", "--loglevel", "WARNING"]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--concurrency", str(concurrency)]
        url = self.plain_url
        self.stack.environment["BENCHMARK_BROKER"] = url
        self.stack.environment["BENCHMARK_TARGET"] = self.stack.environment["FLINKS_BASE_URL"]
        return self.stack.start_process(
            "plain", [sys.executable, *argv], ready=ready or (lambda _: answers_ping(url, "plain"))
        )

    @property
    def plain_url(self) -> str:
        """The broker of plain Celery: the same server, another database."""
        return self.stack.environment["REDIS_URL"].removesuffix("/0") + "/1"

    def tally(self, name: str = "recorded") -> int:
        """Return how many events of the instance the ledger has counted under a name."""
        return int(self.redis.hget(f"nightly:tally:{INSTANCE}", name) or 0)

    def due(self) -> int:
        """Return how many logins wait for a call, now or later."""
        return sum(int(self.redis.zcard(f"nightly:due:{INSTANCE}:{lane}")) for lane in ("live", "backfill"))


@contextmanager
def open_system(folder: Path, flinks_url: str, environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """Start a Redis with an empty ledger that is begun; stop everything and delete it at the end."""
    home = folder / f"system-{uuid4().hex[:8]}"
    overrides = {"FLINKS_BASE_URL": flinks_url, "FLINKS_AUTH_KEY": "benchmark-key", **(environment or {})}
    try:
        with EmbeddedStack(home, isolated=True, overrides=overrides, workers=0, emulator=False, tcp=True) as stack:
            services = build_services(stack.settings(), name="benchmark")
            services.ledger.open_ledger(services.vault.fingerprint("reference"))
            yield System(stack, services)
            services.redis.close()
    finally:
        rmtree(home, ignore_errors=True)
