"""One whole Nightly for the browser tests: Redis, the emulator, a worker and the review page as real processes."""

import json
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack.readiness import listening_url
from tests.brief_stack import BriefStack
from tests.started import Started
from tests.waiting import eventually
from worker.ledger.audit import Actor
from worker.services import Services, build_services
from worker.web.review.passwords import hash_password

PASSWORD = "correct horse"
USERS = {"vera": "viewer", "otto": "operator", "ada": "admin"}
INSTANCES = (
    "toolbox", "north", "south", "east", "west", "alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "omega",
    "sigma", "kappa",
)  # fmt: skip
"""Each test counts the letters of instances that no other test uses, so all can share one ledger."""
CALLS_PER_SECOND = 400
REVIEW = [sys.executable, "-m", "worker", "review", "--port", "0"]


class Site(Started):
    """The running parts; `url` is the review page's, `emulator` controls the emulated Flinks."""

    url: str
    emulator: EmulatorControl
    redis: Redis
    services: Services

    def __init__(self, folder: Path) -> None:
        self.stack = BriefStack(folder, isolated=True, overrides=_settings(), workers=0)
        self.cookies: dict[str, Any] = {}
        """Of users who have signed in."""
        self._unknown: set[str] = set()

    def start(self) -> "Site":
        """Start every part; the last is the worker, which needs the emulator's address for each instance."""
        self.stack.start()
        assert self.stack.emulator_url
        self.emulator = EmulatorControl(self.stack.emulator_url)
        self.stack.environment["FLINKS_INSTANCES"] = self._instances()
        self.services = build_services(self.stack.settings())
        self.redis = self.services.redis
        review = self.stack.start_process("review", REVIEW, ready=listening_url)
        self.url = str(listening_url(review))
        self.stack.start_worker()
        return self

    def stop(self) -> None:
        """End every part."""
        if hasattr(self, "redis"):
            self.redis.close()
        self.stack.stop()

    def publish(self, *logins: str, instance: str, on: bool = True, account: str = "cust-42") -> None:
        """Publish an event of now for each login."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for login in logins:
                pipeline.xadd("account-events:stream", {"event": json.dumps(_event(login, instance, account, on=on))})
            pipeline.execute()

    def publish_undated(self, login: str, *, instance: str, account: str) -> None:
        """Publish an event without its time, and wait until it was rejected."""
        event = _event(login, instance, account, on=True)
        del event["time"]
        self.redis.xadd("account-events:stream", {"event": json.dumps(event)})
        eventually(lambda: self.redis.xlen("account-events:stream") == 0, describe="the rejection")

    def file_letters(self, count: int, *, instance: str, on: bool = True) -> list[str]:
        """Publish events of logins that Flinks does not know, wait for their dead letters, and return the loginIds."""
        proof, *logins = (str(uuid.uuid4()) for _ in range(count + 1))
        self.publish(proof, instance=instance)
        eventually(lambda: self.flag(proof), describe="the first call")
        self.set_unknown(*logins)
        before = self.open_letters(instance)
        self.publish(*logins, instance=instance, on=on)
        eventually(lambda: self.open_letters(instance) == before + count, seconds=60, describe=f"{count} dead letters")
        return logins

    def set_unknown(self, *logins: str) -> None:
        """Make further logins unknown to Flinks."""
        self._unknown |= set(logins)
        self.emulator.unknown_logins(*self._unknown)

    def set_known(self, *logins: str) -> None:
        """Make logins known to Flinks again."""
        self._unknown -= set(logins)
        self.emulator.unknown_logins(*self._unknown)

    def open_letters(self, instance: str) -> int:
        """Return how many dead letters of an instance are open."""
        return sum(group.count for group in self.services.letters.groups() if group.instance == instance)

    def flag(self, login: str) -> bool | None:
        """Return the flag that Flinks has for a login; None: it was never set."""
        return self.flags([login])[0]

    def flags(self, logins: Sequence[str]) -> list[bool | None]:
        """Return the flag of each login."""
        flags = {
            login: flag.is_activated for customer in self.emulator.state().values() for login, flag in customer.items()
        }
        return [flags.get(login) for login in logins]

    @contextmanager
    def closed_gate(self, instance: str) -> Iterator[None]:
        """Keep the gate of an instance closed."""
        by = Actor("ada", "admin", "cli")
        self.services.gate.close(instance, by=by, reason="for a test")
        try:
            yield
        finally:
            self.services.gate.open(instance, by=by)

    def comes_to_rest(self, instance: str) -> None:
        """Wait until no login of an instance is due, waits or is called."""

        def work() -> int:
            about = self.services.views.status()["instances"][instance]
            return sum(about[name] for name in ("due_live", "due_backfill", "waiting", "in_flight"))

        eventually(lambda: work() == 0, seconds=30, describe="rest")

    def _instances(self) -> str:
        known = self.stack.settings()
        common = {
            "customer_id": known.flinks_customer_id,
            "auth_key": self.stack.environment["FLINKS_AUTH_KEY"],
            "base_url": self.stack.emulator_url,
        }
        return json.dumps({name: common for name in INSTANCES if name != known.flinks_instance})


def _settings() -> dict[str, str]:
    hashed = hash_password(PASSWORD, log2_n=10)
    return {
        "REVIEW_USERS": ",".join(f"{name}:{role}:{hashed}" for name, role in USERS.items()),
        "FLINKS_CALLS_PER_SECOND": str(CALLS_PER_SECOND),
        "GATE_STORM_LOGINS": "100000",
    }


def _event(login: str, instance: str, account: str, *, on: bool) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"evt-{uuid.uuid4()}",
        "source": "tests",
        "type": "account.linked" if on else "account.inactive",
        "time": datetime.now(UTC).isoformat(),
        "subject": account,
        "data": {"loginId": login, "instance": instance},
    }
