"""Chooses loopback ports, and names the process that holds a port."""

import contextlib
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from sandbox.stack.waiting import wait_until
from worker.errors import EmbeddedStackError

# Below the range of outgoing ports: a reconnecting client could get its own target port from that range.
PORTS = range(20_000, 32_000)
FREED_SECONDS = 3.0
"""How long to wait for a port of a run that was just killed."""
_LISTENING = "0A"


def free_port() -> int:
    """Return a loopback port that is free now; raises EmbeddedStackError after a hundred tries."""
    for port in random.sample(PORTS, 100):
        if is_free(port):
            return port
    raise EmbeddedStackError(f"no free loopback port among a hundred tried between {PORTS.start} and {PORTS.stop}")


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port of closed connections is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def check_free(ports: Mapping[str, int], advice: str) -> None:
    """Raise EmbeddedStackError with the part and the holder of the first taken port; 0 means any free port."""
    for part, port in ports.items():
        if port and not wait_until(lambda port=port: is_free(port), seconds=FREED_SECONDS):  # type: ignore[misc]
            raise EmbeddedStackError(f"Port {port} for {part} is taken by {holder_of(port)}. {advice}")


def holder_of(port: int) -> str:
    """Return the process that listens on a port as `process 123 (its command)`, if the system shows it."""
    inodes = _listening_inodes(port)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) in inodes:
                folder = link.parent.parent
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"process {folder.name} ({command[:100] or 'its command is not shown'})"
    return "another program, whose process this user may not see"


def _listening_inodes(port: int) -> set[str]:
    """Return the listening sockets of a port as /proc names them (Linux; elsewhere none)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
