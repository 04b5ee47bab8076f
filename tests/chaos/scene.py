"""Builds the parts of a chaos run: Redis, the middleman before it, the witness behind it, the emulator, no worker
yet.

Workers reach Redis only through the middleman. The judge has a direct client.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.brief_stack import BriefStack
from tests.chaos.middleman import Middleman
from tests.chaos.witness import Witness
from worker.operations.waiting import unrecorded
from worker.services import build_services

AUTH_KEY = "auth-key-canary-31415926"
INSTANCE = "toolbox"


class Scene:
    """Everything but workers, as a context manager. `settings` are those of the workers to come."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder, self._overrides = folder, settings
        self._exits = ExitStack()
        self.is_redis_away = False
        self.redis_killed_at: list[float] = []
        """Seconds since 1970."""

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            enter = exits.enter_context
            guard = enter(OrphanGuard())
            ways: dict[str, Any] = {"tcp": True, "takes_config": True}
            self.server = enter(EmbeddedRedis(self.folder, name="chaos", appendfsync="always", guard=guard, **ways))
            self.witness = enter(Witness(self.server.url))
            self.middleman = enter(Middleman(self.server.port))
            overrides = self._overrides | {"REDIS_URL": self.server.url_at(self.middleman.port), "SANDBOX": "1"}
            self.stack = enter(BriefStack(self.folder / "stack", isolated=True, overrides=overrides, workers=0))
            self.stack.environment["FLINKS_AUTH_KEY"] = AUTH_KEY
            self.emulator = EmulatorControl(str(self.stack.emulator_url))
            self.emulator.accept_keys(AUTH_KEY)
            self.settings = self.stack.settings()
            direct = self.settings.model_copy(update={"redis_url": SecretStr(self.server.url)})
            self.services = build_services(direct)
            self.redis = enter(self.services.redis)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def kill_redis(self) -> None:
        """`kill -9` Redis and admit no client until it is back."""
        self.is_redis_away = True
        self.redis_killed_at.append(time.time())
        self.server.kill()
        self.middleman.shut()
        self.witness.wait_for_silence()

    def return_redis(self) -> None:
        """Start Redis again. The workers have to wait for `middleman.open`, so that the witness misses nothing."""
        self.server.start()
        self.witness.listen()
        self.is_redis_away = False

    def fill_redis(self) -> None:
        """Make Redis refuse writes."""
        self.redis.config_set("maxmemory", 1)

    def empty_redis(self) -> None:
        """Make Redis accept writes again."""
        self.redis.config_set("maxmemory", 0)

    def reference(self, login: str) -> str:
        """Return the reference of the login."""
        return self.services.vault.reference(INSTANCE, login)

    def calls_settled(self) -> int:
        """Return the number of calls that the ledger has settled."""
        return int(self.redis.hget(f"nightly:tally:{INSTANCE}", "calls") or 0)

    def in_flight(self) -> int:
        """Return the number of leased logins."""
        return int(self.redis.zcard(f"nightly:leases:{INSTANCE}"))

    def is_work_due(self) -> bool:
        """Return whether a call could be made now."""
        instance = self.services.views.status()["instances"].get(INSTANCE, {})
        return bool(instance.get("due_live") or instance.get("in_flight"))

    def is_at_rest(self) -> bool:
        """Return whether nothing is due, waiting, in flight or unread."""
        unread = unrecorded(self.redis)  # first: an event that has left its way in is in the ledger
        status = self.services.views.status()
        names = ("due_live", "due_backfill", "waiting", "in_flight")
        open_work = [instance[name] for instance in status["instances"].values() for name in names]
        return not any(open_work) and unread == 0

    def is_taken_in(self) -> bool:
        """Return whether nothing is unread."""
        return unrecorded(self.redis) == 0
