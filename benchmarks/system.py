"""Sets up the system under test: its own Redis, real workers, and access to the ledger from this process.

All settings are defaults, except the rate limit where a benchmark overrides it.
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
from worker.telemetry.logs import configure_logging

NO_CEILING = {"FLINKS_CALLS_PER_SECOND": "100000"}
"""For benchmarks of the system itself, not of its default limit of 50 calls/s."""
INSTANCE = "toolbox"


def log_only_warnings() -> None:
    """Keep the lines about single events out of this process's log: a benchmark handles millions."""
    configure_logging(log_format=None, log_level="WARNING")


@dataclass(frozen=True)
class System:
    """A stack, without workers until `start_worker`, and the services that one of its workers would build."""

    stack: EmbeddedStack
    services: Services

    @property
    def redis(self) -> Any:
        """The ledger's Redis client; its replies are bytes."""
        return self.services.redis

    @property
    def redis_pid(self) -> int:
        """The process id of the Redis server."""
        if self.stack.redis is None:
            raise AssertionError("a benchmark brings its own Redis")
        return self.stack.redis.pid

    def start_worker(self, concurrency: int | None = None) -> ManagedProcess:
        """Start a real worker, with the default concurrency unless given, and wait until it consumes messages."""
        return self.stack.start_worker(concurrency=concurrency or default_concurrency())

    def start_plain_worker(self, *, concurrency: int = 2, ready: Ready | None = None) -> ManagedProcess:
        """Start the worker of benchmarks/plain_celery.py on database 1 of this Redis; waits for its ping by default."""
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
        """Plain Celery's broker: the same server, another database."""
        return self.stack.environment["REDIS_URL"].removesuffix("/0") + "/1"

    def tally(self, name: str = "recorded") -> int:
        """Return one of the ledger's counters of the instance."""
        return int(self.redis.hget(f"nightly:tally:{INSTANCE}", name) or 0)

    def due(self) -> int:
        """Return the number of logins that wait for a call, now or later."""
        return sum(int(self.redis.zcard(f"nightly:due:{INSTANCE}:{lane}")) for lane in ("live", "backfill"))


@contextmanager
def open_system(folder: Path, flinks_url: str, environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """Start a Redis with an empty, claimed ledger; at the end stop everything and delete it."""
    home = folder / f"system-{uuid4().hex[:8]}"
    overrides = {"FLINKS_BASE_URL": flinks_url, "FLINKS_AUTH_KEY": "benchmark-key", **(environment or {})}
    try:
        parts: dict[str, Any] = {"workers": 0, "emulator": False, "tcp": True, "takes_config": True}
        with EmbeddedStack(home, isolated=True, overrides=overrides, **parts) as stack:
            services = build_services(stack.settings(), name="benchmark")
            services.ledger.open_ledger(services.vault.fingerprint("reference"))
            yield System(stack, services)
            services.redis.close()
    finally:
        rmtree(home, ignore_errors=True)
