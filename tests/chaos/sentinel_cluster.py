"""A Redis that fails over: a primary, replicas and three sentinels on loopback, behind links that can be cut.

Every party reaches the servers through their links, sentinels and replicas too, and each from an address of its own
(127.0.0.x), so that the primary can be cut off from the others but not from its clients.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sandbox.stack import ManagedProcess, OrphanGuard, wait_until
from sandbox.stack.ports import free_port
from sandbox.stack.redis_binary import find_redis_binary
from tests.chaos.links import Link, Links
from tests.started import Started
from worker.errors import EmbeddedStackError

SERVICE = "nightly"
USER, PASSWORD = "nightly", "p@ss/word:1"
KEEPER, KEEPER_PASSWORD = "keeper", "keeper-password"
SENTINEL_PASSWORD = "sentinel+password"
START_SECONDS = 30.0


@dataclass
class Node:
    """One Redis server: its own port, and the port at which the others reach it."""

    name: str
    address: tuple[str, int]
    port: int
    process: ManagedProcess
    link: Link


class SentinelCluster(Started):
    """Primary, replicas and three sentinels in `folder`, as a context manager. Needs the whole of 127.0.0.0/8
    (Linux).
    """

    def __init__(
        self,
        folder: Path,
        *,
        guard: OrphanGuard,
        replicas: int = 1,
        appendfsync: str = "everysec",
        min_replicas: int = 0,
        max_lag_seconds: int = 1,
        down_after_ms: int = 2000,
        acl: str = "~* &* +@all",
    ) -> None:
        self.folder = folder
        self._guard, self._acl, self._replicas = guard, acl, replicas
        self._down_after_ms = down_after_ms
        self._options = {
            "appendfsync": appendfsync,
            "min-replicas-to-write": str(min_replicas),
            "min-replicas-max-lag": str(max_lag_seconds),
        }
        self._links = Links()
        self._binary = find_redis_binary()
        self.nodes: list[Node] = []
        self.sentinels: list[tuple[str, int]] = []
        self._watchers: list[ManagedProcess] = []

    @property
    def url(self) -> str:
        """The value for REDIS_URL."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.sentinels)
        query = f"sentinel_password={quote(SENTINEL_PASSWORD, safe='')}"
        return f"sentinel://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{SERVICE}/0?{query}"

    def start(self) -> Self:
        """Start all and wait until the replicas follow and the sentinels know each other."""
        self._links.__enter__()
        for number in range(1, self._replicas + 2):
            self._start_node(number)
        for number in (1, 2, 3):
            self._start_sentinel(number)
        if not wait_until(self.is_whole, seconds=START_SECONDS):
            raise EmbeddedStackError("the sentinels do not find each other, or no replica follows")
        return self

    def stop(self) -> None:
        """End everything."""
        for process in [*self._watchers, *(node.process for node in self.nodes)]:
            with contextlib.suppress(EmbeddedStackError):
                process.signal(18)  # a stopped process does not get SIGTERM
            process.stop()
        self._links.__exit__()

    def primary(self) -> Node:
        """Return the server that most sentinels consider the primary."""
        told = [self._told_by(address) for address in self.sentinels]
        port = max(set(told), key=told.count)
        return next(node for node in self.nodes if node.port == port)

    def is_whole(self) -> bool:
        """Whether every other server follows the primary without a gap and every sentinel knows all of them."""
        try:
            primary = self.primary()
            info = self.ask(primary).info("replication")
            states = [info.get(f"slave{number}", {}).get("state") for number in range(self._replicas)]
            follow = info["role"] == "master" and all(state == "online" for state in states)
            return bool(follow and all(map(self._knows_all, self.sentinels)))
        except (RedisError, OSError, ValueError, StopIteration):
            return False

    def ask(self, node: Node) -> Redis:
        """Return a client of the server itself, without its link, with every right."""
        host, port = node.address
        return _impatient(host, port, KEEPER, KEEPER_PASSWORD)

    def cut_off(self, node: Node) -> None:
        """Cut a server off from its replica and all sentinels; its clients still reach it."""
        others = [other.address[0] for other in self.nodes if other is not node]
        node.link.cut(*others, *(host for host, _ in self.sentinels))
        for other in self.nodes:
            if other is not node:
                other.link.cut(node.address[0])

    def heal(self) -> None:
        """Repair every link."""
        for node in self.nodes:
            node.link.mend()

    def lag(self, seconds: float) -> None:
        """Delay replication, as between two sites."""
        for node in self.nodes:
            node.link.lagging = frozenset(other.address[0] for other in self.nodes)
            node.link.lag_seconds = seconds

    def lose_machine(self, node: Node) -> None:
        """Kill a server with everything that it had sent to the network."""
        node.link.drop()
        node.process.kill()

    def restart(self, node: Node) -> None:
        """Start a killed server again, on its port and its data."""
        node.process.stop()
        node.process.start().wait_ready(lambda: self._answers(node.address), seconds=START_SECONDS)

    def _start_node(self, number: int) -> None:
        host, port, meeting = f"127.0.0.{10 + number}", free_port(), free_port()
        lines = {
            "port": str(port),
            "bind": host,
            **({"bind-source-addr": host} if self._binary.release >= (7, 0) else {}),
            "appendonly": "yes",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
            "repl-ping-replica-period": "1",
            "repl-timeout": "10",
            "replica-announce-ip": "127.0.0.1",
            "replica-announce-port": str(meeting),
            "masteruser": KEEPER,
            "masterauth": KEEPER_PASSWORD,
            **self._options,
        }
        text = [
            "user default off",
            f"user {KEEPER} on >{KEEPER_PASSWORD} ~* &* +@all",
            f"user {USER} on >{PASSWORD} {self._acl}",
        ]
        if self.nodes:
            text.append(f"replicaof 127.0.0.1 {self.nodes[0].port}")
        process = self._run(f"redis-{number}", [], lines, text)
        process.wait_ready(lambda: self._answers((host, port)), seconds=START_SECONDS)
        link = self._links.open(("127.0.0.1", meeting), (host, port))
        self.nodes.append(Node(f"redis-{number}", (host, port), meeting, process, link))

    def _start_sentinel(self, number: int) -> None:
        host, port = f"127.0.0.{20 + number}", free_port()
        lines = {
            "port": str(port),
            "bind": host,
            **({"bind-source-addr": host} if self._binary.release >= (7, 0) else {}),
            "requirepass": SENTINEL_PASSWORD,
            f"sentinel monitor {SERVICE} 127.0.0.1": f"{self.nodes[0].port} 2",
            f"sentinel auth-user {SERVICE}": KEEPER,
            f"sentinel auth-pass {SERVICE}": KEEPER_PASSWORD,
            f"sentinel down-after-milliseconds {SERVICE}": str(self._down_after_ms),
            f"sentinel failover-timeout {SERVICE}": "6000",
            "sentinel sentinel-pass": SENTINEL_PASSWORD,
        }
        process = self._run(f"sentinel-{number}", ["--sentinel"], lines, [])
        self._watchers.append(process)
        self.sentinels.append((host, port))

    def _run(self, name: str, more: Sequence[str], lines: Mapping[str, str], text: Sequence[str]) -> ManagedProcess:
        folder = self.folder / name
        folder.mkdir(parents=True)
        config = folder / "redis.conf"
        written = [f"dir {folder}", *(f"{key} {value}" for key, value in lines.items()), *text]
        config.write_text("\n".join(written) + "\n")
        argv = [self._binary.path, str(config), *more]
        process = ManagedProcess(name, argv, env=os.environ, log_path=folder / "log", cwd=folder, guard=self._guard)
        return process.start()

    def _answers(self, address: tuple[str, int]) -> bool:
        try:
            return bool(_impatient(*address, KEEPER, KEEPER_PASSWORD).ping())
        except (RedisError, OSError):
            return False

    def _told_by(self, address: tuple[str, int]) -> int:
        try:
            return int(_impatient(*address, None, SENTINEL_PASSWORD).sentinel_get_master_addr_by_name(SERVICE)[1])
        except (RedisError, OSError, TypeError):
            return 0

    def _knows_all(self, address: tuple[str, int]) -> bool:
        state = _impatient(*address, None, SENTINEL_PASSWORD).sentinel_masters()[SERVICE]
        return bool(
            state["num-other-sentinels"] == 2 and state["num-slaves"] == self._replicas and not state["is_sdown"]
        )


def _impatient(host: str, port: int, user: str | None, password: str) -> Redis:
    return Redis(host, port, username=user, password=password, socket_timeout=2, retry=Retry(NoBackoff(), 0))
