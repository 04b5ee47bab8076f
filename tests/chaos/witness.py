"""Observes Redis with MONITOR: which events were recorded, and when each call was claimed.

An event counts once its id was in a script call that raised the tally of recorded events by the number of its ids.
The reply to a worker and ours leave Redis after the same fsync, so what is seen here was durable. They leave one after
the other, so a Redis that is killed between them told the worker and not us. No client reaches a restarted Redis before
the witness.
"""

import re
import socket
import threading
from collections import Counter
from typing import NamedTuple, Self
from urllib.parse import urlsplit

EVENT_ID = re.compile(rb'"(evt-[0-9a-f]{16})"')
COUNTED = re.compile(rb'"HINCRBY" "nightly:tally:toolbox" "recorded" "(\d+)"')
LEASED = b'"ZADD" "nightly:leases:toolbox" '
REFERENCE = re.compile(rb'"(lgn_[^"]+)"')
READ_BYTES = 1 << 20


class Heard(NamedTuple):
    """One recorded event or one claimed login; `at` is the clock of Redis, in seconds since 1970."""

    at: float
    event_id: str | None
    reference: str


class Witness:
    """Observes one Redis, from `listen` until it is killed, and again."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self.times_recorded: Counter[str] = Counter()
        self.story: list[Heard] = []
        self._call: list[str] = []
        self._counted = 0
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def listen(self) -> None:
        """Begin to observe; returns when Redis has confirmed MONITOR."""
        self._call, self._counted = [], 0
        self._socket = socket.create_connection(("127.0.0.1", self._address.port or 0), timeout=30)
        for command in (f"AUTH {self._address.password}", "MONITOR"):
            self._socket.sendall(f"{command}\r\n".encode())
            if self._socket.recv(5) != b"+OK\r\n":
                raise AssertionError("Redis does not let itself be monitored")
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._hear, args=(self._socket,), name="witness")
        self._thread.start()

    @property
    def claimed_at(self) -> list[float]:
        """When calls were claimed."""
        return [heard.at for heard in self.story if heard.event_id is None]

    def is_recorded(self, event_id: str) -> bool:
        return event_id in self.times_recorded

    def wait_for_silence(self) -> None:
        """Return when everything from a killed Redis was read, or stop observing a running one."""
        if self._socket and self._thread:
            self._thread.join()
            self._socket.close()
            self._socket = self._thread = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)
        self.wait_for_silence()

    def _hear(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            try:
                heard = connection.recv(READ_BYTES)
            except OSError:
                heard = b""
            if not heard:
                return
            *lines, rest = (rest + heard).split(b"\n")
            for line in lines:
                self._note(line)

    def _note(self, line: bytes) -> None:
        is_inside_script = b" lua] " in line[:40]
        if is_inside_script:
            if LEASED in line:
                self.story += [Heard(_time_of(line), None, found.decode()) for found in REFERENCE.findall(line)]
            counted = COUNTED.search(line)
            self._counted += int(counted[1]) if self._call and counted else 0
            if self._call and self._counted == len(self._call):
                self.times_recorded.update(self._call)
                self.story += [Heard(_time_of(line), event_id, "") for event_id in self._call]
                self._call, self._counted = [], 0
        elif b'"EVAL' in line[:80]:
            self._call, self._counted = [found.decode() for found in EVENT_ID.findall(line)], 0


def _time_of(line: bytes) -> float:
    return float(line[1 : line.index(b" ")])
