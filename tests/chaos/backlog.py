"""A stack with a backlog of linked logins, workers to start, and the figures of their calls.

Shared by the scenarios that test whether Flinks may be called.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sandbox.emulator.calls import Call
from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, wait_until
from sandbox.stack.processes import group_members
from tests.brief_stack import BriefStack
from tests.chaos.report import Say
from worker.events.channels import STREAM
from worker.services import Services, build_services

INSTANCE = "toolbox"
BATCH = 100
"""Events in one stream entry: a CloudEvents batch."""
KIB_IN_MIB = 1024


class Backlog:
    """Redis, the emulator and, once started, workers; everything is stopped at the end."""

    def __init__(self, stack: EmbeddedStack, services: Services, chance: Random) -> None:
        self.stack, self.services, self.redis = stack, services, services.redis
        self.emulator = EmulatorControl(str(stack.emulator_url))
        self._chance = chance

    def link(self, count: int) -> list[str]:
        """Publish `count` new linked logins; return their ids."""
        logins = [str(uuid.UUID(int=self._chance.getrandbits(128), version=4)) for _ in range(count)]
        now = datetime.now(UTC).isoformat()
        pipeline = self.redis.pipeline(transaction=False)
        for at in range(0, count, BATCH):
            batch = [_linked(login, now) for login in logins[at : at + BATCH]]
            pipeline.xadd(STREAM, {"event": json.dumps(batch)})
        pipeline.execute()
        return logins

    def start_workers(self, count: int) -> None:
        """Start `count` workers."""
        for _ in range(count):
            self.stack.start_worker()

    def stop_workers(self) -> None:
        """Stop them warmly."""
        for worker in list(self.stack.workers):
            self.stack.stop_process(worker)

    def about(self) -> dict[str, Any]:
        """Return the `status` of the instance."""
        return dict(self.services.views.status()["instances"].get(INSTANCE, {}))

    def tally(self, name: str) -> int:
        """Return one count of the tally of the instance."""
        return int(self.redis.hget(f"nightly:tally:{INSTANCE}", name) or 0)

    def gate(self) -> dict[str, Any]:
        """Return the state of the gate."""
        return self.services.views.gate(INSTANCE)

    def memory_mib(self) -> float:
        """Return the memory of all workers with their children in MiB, shared pages counted once."""
        pids = [pid for worker in self.stack.workers for pid in group_members(worker.pid)]
        return sum(map(_proportional_kib, pids)) / KIB_IN_MIB

    def waits_for(self, condition: Callable[[], object], seconds: float, say: Say, what: str) -> bool:
        """Wait and report progress now and then; False when the time is up."""
        ends_at, said_at = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < ends_at:
            if wait_until(condition, seconds=1):
                return True
            if time.monotonic() - said_at >= 15:
                said_at = time.monotonic()
                say(f"waiting for {what}: {self.tally('applied_on'):,} applied, {self.tally('calls'):,} calls")
        return False

    def flags(self) -> dict[str, bool]:
        """Return the flags of the emulated Flinks, by loginId."""
        return {login: flag.is_activated for logins in self.emulator.state().values() for login, flag in logins.items()}


def per_second(calls: list[Call], since: float) -> Counter[int]:
    """Count calls by whole seconds after a moment (seconds since 1970)."""
    return Counter(int(call.started_at - since) for call in calls if call.started_at >= since)


@contextmanager
def a_backlog(folder: Path, settings: Mapping[str, str], chance: Random) -> Iterator[Backlog]:
    """Return a stack with the settings of a worker, and no worker yet."""
    with BriefStack(folder, isolated=True, overrides=settings, workers=0) as stack:
        services = build_services(stack.settings())
        try:
            yield Backlog(stack, services, chance)
        finally:
            services.redis.close()


def _linked(login: str, now: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"evt-{login[:8]}",
        "source": "tests",
        "type": "account.linked",
        "time": now,
        "data": {"loginId": login},
    }


def _proportional_kib(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
