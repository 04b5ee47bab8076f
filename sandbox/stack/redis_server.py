"""Runs a Valkey or Redis server that other users of this machine cannot reach and whose data survives a kill.

The server listens on a Unix socket in a private folder, or, with TCP, on loopback with a random password. It counts as
ready only when our own child process answers, so a foreign Redis is never used. It holds a lock on the data folder, so
that a second server cannot use the same files.
"""

import fcntl
import os
import secrets
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Literal, Self
from urllib.parse import quote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sandbox.stack.guard import OrphanGuard
from sandbox.stack.ports import free_port
from sandbox.stack.private_files import private_folder, read_private, write_private
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.redis_binary import find_redis_binary
from worker.errors import EmbeddedStackError

PORT_ATTEMPTS = 10
SOCKET_PATH_BYTES = 103  # the limit of macOS; Linux allows 107
TEMPORARY_BYTES = SOCKET_PATH_BYTES - len("/nightly-12345678/redis.sock")
START_SECONDS = 30.0
STOP_SECONDS = 10.0
DISABLED = ("CONFIG", "MODULE", "DEBUG")
"""Commands that let a client write files or load code as the user that runs the server."""
Fsync = Literal["always", "everysec", "no"]


class EmbeddedRedis:
    """A Valkey or Redis server with its data under `<folder>/redis-<name>/`: append-only file on, nothing evicted.

    `tcp`: listen on loopback with a password; `url_path` keeps address and password for the next start. `port` fixes
    the port (0: the kept one, else a free one).
    `takes_config`: clients may use the commands in DISABLED, for a test that reconfigures its server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "ledger",
        appendfsync: Fsync = "everysec",
        guard: OrphanGuard | None = None,
        tcp: bool = False,
        port: int = 0,
        takes_config: bool = False,
    ) -> None:
        self.data_folder = folder.absolute() / f"redis-{name}"
        self.log_path = self.data_folder / "redis.log"
        self.url_path = self.data_folder / "url"
        self.url = ""
        """The address with the password, once started; a restart keeps it."""
        self.server = ""
        """The name and version, once started, such as `Valkey 9.1.2`."""
        self._name, self._appendfsync, self._guard = name, appendfsync, guard
        self._is_tcp, self._fixed_port, self._takes_config = tcp, port, takes_config
        self._socket_folder: Path | None = None
        self._lock: int | None = None
        self._process: ManagedProcess | None = None

    @property
    def socket_path(self) -> Path:
        """The Unix socket; in the data folder unless that path is too long."""
        return (self._socket_folder or self.data_folder) / "redis.sock"

    @property
    def port(self) -> int:
        """The TCP port, once started; raises EmbeddedStackError if there is none."""
        port = urlsplit(self.url).port
        if port is None:
            raise EmbeddedStackError(f"Redis {self._name} listens on no port")
        return port

    @property
    def password(self) -> str:
        """The password for TCP; empty without TCP."""
        return urlsplit(self.url).password or ""

    @property
    def pid(self) -> int:
        """The server's process id; raises EmbeddedStackError if it is not running."""
        if self._process is None:
            raise EmbeddedStackError(f"Redis {self._name} is not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server is alive."""
        return self._process is not None and self._process.is_running

    def url_at(self, port: int) -> str:
        """Return the TCP address with another loopback port, that of a proxy in front of it."""
        return self.url.replace(f":{self.port}/", f":{port}/")

    def start(self) -> Self:
        """Start the server, at its previous address if there is one, and wait until it answers.

        Raises EmbeddedStackError with the end of its log, the package to install, or the problem with its folder.
        """
        binary = find_redis_binary()
        self.server = str(binary)
        private_folder(self.data_folder.parent)
        private_folder(self.data_folder)
        self._take_lock()
        try:
            if self._is_tcp:
                self._start_on_some_port(binary.path)
            else:
                self._start_on_socket(binary.path)
        except BaseException:
            self.stop()
            raise
        return self

    def kill(self) -> None:
        """`kill -9`: data that was not yet handed to the operating system is lost, as in a crash."""
        if self._process:
            self._process.kill()
            self._process.stop()
            self._process = None

    def restart(self) -> None:
        """`kill -9`, then start again at the same address and on the same data."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Send SIGTERM, SIGKILL after 10 s, and release the data folder. Does nothing if it is not running."""
        try:
            if self._process:
                self._process.stop(STOP_SECONDS)
        finally:
            self._process = None
            if self._socket_folder and self._socket_folder.exists():
                self.socket_path.unlink(missing_ok=True)
                self._socket_folder.rmdir()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.data_folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise EmbeddedStackError(
                f"Another Nightly already uses {self.data_folder.parent.name}/{self.data_folder.name}; stop it first."
            ) from None
        self._lock = lock

    def _start_on_socket(self, binary: str) -> None:
        if self._socket_folder:
            private_folder(self._socket_folder)
        elif len(os.fsencode(self.socket_path)) > SOCKET_PATH_BYTES:
            is_deep = len(os.fsencode(gettempdir())) > TEMPORARY_BYTES
            self._socket_folder = Path(mkdtemp(prefix="nightly-", dir="/tmp" if is_deep else None))  # noqa: S108 - 0700
        self.url = f"unix://{quote(str(self.socket_path))}"
        self._run(binary, {"port": "0", "unixsocket": str(self.socket_path), "unixsocketperm": "700"})

    def _start_on_some_port(self, binary: str) -> None:
        is_fixed = bool(self.url or self._fixed_port)
        kept = self.url or read_private(self.url_path) or ""
        password = urlsplit(kept).password or secrets.token_urlsafe(32)
        if self._fixed_port:
            kept = _url(password, self._fixed_port)
        for _ in range(PORT_ATTEMPTS):
            self.url = kept or _url(password, free_port())
            try:
                self._run(binary, {"port": str(self.port), "bind": "127.0.0.1", "requirepass": password})
            except EmbeddedStackError:
                if is_fixed or self._process is None or "Address already in use" not in self._process.output():
                    raise
                self.kill()
                kept, password = "", secrets.token_urlsafe(32)  # clients may have sent the old password to that port
            else:
                write_private(self.url_path, self.url)
                return
        raise EmbeddedStackError(f"Redis {self._name}: {PORT_ATTEMPTS} ports in a row were taken while it started")

    def _run(self, binary: str, address: dict[str, str]) -> None:
        self._process = process = ManagedProcess(
            f"Redis {self._name}",
            [binary, "-"],
            env=os.environ,
            log_path=self.log_path,
            guard=self._guard,
            keep_open=[] if self._lock is None else [self._lock],
            stdin=self._configuration(address),
        )
        process.start().wait_ready(self._is_ours, seconds=START_SECONDS)

    def _configuration(self, address: dict[str, str]) -> str:
        options = address | {
            "dir": str(self.data_folder),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        lines = [f"{name} {_quoted(value)}" for name, value in options.items()]
        if not self._takes_config:
            lines += [f'rename-command {command} ""' for command in DISABLED]
        return "\n".join([*lines, ""])

    def _is_ours(self) -> bool:
        """Return whether the server that answers at the address is our own child process."""
        # Connect only once our server logs that it is ready: until then another user may hold the port.
        if self._process is None or "ready to accept" not in self._process.output().lower():
            return False
        client = Redis.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping()) and client.info("server")["process_id"] == self.pid
        except (RedisError, OSError):
            return False
        finally:
            client.close()


def _url(password: str, port: int) -> str:
    return f"redis://default:{password}@127.0.0.1:{port}/0"  # with a user: redis-cli would send an empty name as it is


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
