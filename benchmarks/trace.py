"""Traces events through Redis with MONITOR: when each was published, recorded and claimed, without code in the worker.

Redis reports each command right before it runs, including those in scripts, with this machine's clock.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from worker.ledger.scripts import PARTS, digest

_END = "end-of-trace"
SCRIPTS = {digest(name): name for name in PARTS}


@dataclass(frozen=True, slots=True)
class Step:
    """One command: its start (CLOCK_MONOTONIC, microseconds), its name or that of its script, and its arguments."""

    at_us: int
    name: str
    arguments: str


class Trace:
    """Collects every command of one Redis inside a `with` block."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._thread = threading.Thread(target=self._listen, name="trace", daemon=True)
        self._is_listening = threading.Event()
        self.steps: list[Step] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_listening.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.echo(_END)
        self._thread.join(10)

    def _listen(self) -> None:
        ahead = time.time() - time.monotonic()
        with self._client.monitor() as monitor:
            self._is_listening.set()
            for command in monitor.listen():
                if _END in command["command"]:
                    return
                self.steps.append(_step(command, ahead))


def _step(command: Mapping[str, Any], ahead: float) -> Step:
    name, _, arguments = command["command"].partition(" ")
    if name in {"EVALSHA", "EVAL"}:
        name = SCRIPTS.get(arguments[:40], name)
    return Step(round((command["time"] - ahead) * 1e6), name.lower(), arguments[:80])


def follow(steps: Sequence[Step], wanted: Sequence[tuple[str, str]], since_us: int) -> list[int | None]:
    """Return when each wanted (name, prefix of arguments) first occurred after the previous one; None if never."""
    found: list[int | None] = []
    at = 0
    while at < len(steps) and steps[at].at_us < since_us:
        at += 1
    for name, beginning in wanted:
        here = at
        while here < len(steps) and not (steps[here].name == name and steps[here].arguments.startswith(beginning)):
            here += 1
        found.append(steps[here].at_us if here < len(steps) else None)
        at = here if here < len(steps) else at
    return found
