"""Runs Redis, the Flinks emulator and Celery workers as one stack, for `nightly demo`, `nightly run` and tests.

The stack uses REDIS_URL, FLINKS_AUTH_KEY and LOGIN_KEYS if they are set, and starts or creates the missing parts.
Workers and the emulator are child processes: this module imports neither `tasks` nor the emulator.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import redis

from sandbox.stack.environment import as_child, inherited, keep_login_keys
from sandbox.stack.guard import OrphanGuard
from sandbox.stack.private_files import check_not_open_to_all, private_folder
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.readiness import answers_ping, listening_url
from sandbox.stack.redis_server import EmbeddedRedis
from worker.config.settings import Settings
from worker.errors import EmbeddedStackError, SettingsError
from worker.ledger import Ledger
from worker.redis_client.connect import connect
from worker.redis_client.error_messages import place_of

READY_SECONDS = 40.0
GRACE_SECONDS = 20.0
EMULATOR_KEY = "emulator-key"
NO_SANDBOX = (
    "FLINKS_AUTH_KEY: is required if REDIS_URL is set, because an emulated Flinks would mark real logins as done; "
    "set SANDBOX=1 if that ledger is only for trials"
)
Ready = Callable[[ManagedProcess], object]


class EmbeddedStack:
    """One running stack in `folder` (data, keys and logs); a context manager.

    `isolated`: ignore the caller's environment and `.env`, and use only `overrides`. `emulator=False`: start no
    emulator, even without a Flinks key. `tcp`: Redis listens on loopback with a password, on `redis_port`; port 0 means
    any free one. `takes_config`: clients may change its settings. `on_step` is called with one line for each part.
    """

    process_type = ManagedProcess

    def __init__(
        self,
        folder: Path,
        *,
        isolated: bool,
        overrides: Mapping[str, str] | None = None,
        workers: int = 1,
        concurrency: int = 2,
        emulator: bool = True,
        emulator_port: int = 0,
        tcp: bool = False,
        redis_port: int = 0,
        takes_config: bool = False,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.environment: dict[str, str] = {}
        self.redis: EmbeddedRedis | None = None
        self.emulator_url: str | None = None
        self._isolated, self._overrides, self._on_step = isolated, dict(overrides or {}), on_step
        self._workers, self._concurrency = workers, concurrency
        self._wants_emulator, self._emulator_port = emulator, emulator_port
        self._redis_options: dict[str, Any] = {"tcp": tcp, "port": redis_port, "takes_config": takes_config}
        self._guard = OrphanGuard()
        self._started: list[ManagedProcess] = []
        self._emulator: ManagedProcess | None = None
        self._names_given = 0

    def start(self) -> Self:
        """Start every part, in order; on failure stop them and raise EmbeddedStackError or SettingsError."""
        try:
            self._start_parts()
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def workers(self) -> list[ManagedProcess]:
        """The workers that were started and not stopped, alive or not."""
        return [process for process in self._started if process.name.startswith("worker")]

    @property
    def processes(self) -> list[ManagedProcess]:
        """All children, except Redis, that were started and not stopped, alive or not."""
        return list(self._started)

    @property
    def working_folder(self) -> Path:
        """The child processes' folder: the stack's own folder if isolated (it has no `.env`), else the current one."""
        return self.folder if self._isolated else Path.cwd()

    def start_worker(self, *, concurrency: int | None = None, ready: Ready | None = None) -> ManagedProcess:
        """Start one Celery worker and wait until it answers a ping, or until `ready(process)` holds."""
        self._names_given += 1
        name = f"worker-{self._names_given}"
        argv = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", f"{name}@%h"]
        argv += ["--concurrency", str(concurrency or self._concurrency), "--loglevel", "INFO"]
        argv += ["--without-gossip", "--without-mingle"]
        broker_url = self._broker_url()
        return self.start_process(name, argv, ready=ready or (lambda _: answers_ping(broker_url, name)))

    def start_process(
        self,
        name: str,
        argv: Sequence[str],
        *,
        ready: Ready,
        ready_seconds: float = READY_SECONDS,
        without: Collection[str] = (),
    ) -> ManagedProcess:
        """Start another child with the workers' environment, except the variables in `without`; wait until ready."""
        process = self.process_type(
            name,
            argv,
            env={variable: value for variable, value in self.environment.items() if variable not in without},
            log_path=self.folder / "logs" / f"{name}.log",
            cwd=self.working_folder,
            guard=self._guard,
        )
        self._started.append(process.start())
        process.wait_ready(lambda: ready(process), seconds=ready_seconds)
        self._on_step(f"{name} ready (pid {process.pid})")
        return process

    def stop_process(self, process: ManagedProcess, grace_seconds: float = GRACE_SECONDS) -> int | None:
        """Stop a child warmly, and with SIGKILL after the grace period, including its orphans; return its exit code."""
        exit_code = process.stop(grace_seconds)
        self._started.remove(process)
        return exit_code

    def settings(self) -> Settings:
        """Return the settings exactly as the child processes see them; raises SettingsError."""
        with as_child(self.environment, self.working_folder):
            return Settings.load()

    def stop(self) -> None:
        """Stop workers first, then the emulator, then Redis; return only when every process has ended.

        An interrupted stop kills the rest at once. Raises EmbeddedStackError if a process cannot be ended.
        """
        try:
            for process in self._started:
                if process is not self._emulator:
                    process.ask_to_stop()
            while self._started:
                self.stop_process(self._started[-1])
            if self.redis:
                self.redis.stop()
        finally:
            self._guard.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_parts(self) -> None:
        private_folder(self.folder)
        check_not_open_to_all(self.working_folder)
        self.environment = inherited(isolated=self._isolated) | self._overrides
        known = self.settings()
        emulates = self._wants_emulator and not known.instances()
        if emulates and known.redis_url and not known.sandbox:
            raise SettingsError([NO_SANDBOX])
        self._guard.start()
        if known.redis_url is None:
            self.redis = EmbeddedRedis(self.folder, guard=self._guard, **self._redis_options).start()
            self.environment["REDIS_URL"] = self.redis.url
            self._on_step(f"{self.redis.server} at {place_of(self.redis.url)}")
        if known.login_keys is None:
            self._make_login_keys()
        if emulates:
            self._start_emulator(known.flinks_customer_id)
        if self._workers:
            self._open_ledger()
        for _ in range(self._workers):
            self.start_worker()

    def _open_ledger(self) -> None:
        """Raise LedgerMismatch here, because a worker would only log it. Workers wait for an unreachable Redis."""
        known = self.settings()
        fingerprint = known.vault().fingerprint("reference")
        client = connect(known.redis_address(), name="nightly-stack")
        with client, contextlib.suppress(redis.RedisError):
            Ledger(client).open_ledger(fingerprint, is_sandbox=known.sandbox)

    def _broker_url(self) -> str:
        known = self.settings()
        url = known.broker_url or known.redis_url
        return url.get_secret_value() if url else ""

    def _make_login_keys(self) -> None:
        if self.redis is None and not self._isolated:
            raise SettingsError(["LOGIN_KEYS: is required if REDIS_URL is set; `nightly keys new` prints one"])
        self.environment["LOGIN_KEYS"] = keep_login_keys(self.folder / "login-keys")

    def _start_emulator(self, customer_id: str) -> None:
        if importlib.util.find_spec("sandbox.emulator") is None:
            raise EmbeddedStackError("Only a checkout of Nightly has the Flinks emulator: set FLINKS_AUTH_KEY.")
        argv = [sys.executable, "-m", "sandbox.emulator", "--port", str(self._emulator_port)]
        argv += ["--customer-id", customer_id, "--auth-key", EMULATOR_KEY]
        self._emulator = self.start_process("emulator", argv, ready=listening_url, without=("LOGIN_KEYS", "REDIS_URL"))
        self.emulator_url = listening_url(self._emulator)
        self.environment |= {
            "FLINKS_BASE_URL": self.emulator_url or "",
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
            "SANDBOX": "1",
        }
