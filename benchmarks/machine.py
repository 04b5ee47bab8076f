"""Describes the machine of a race and the versions of its software."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sandbox.stack.redis_binary import find_redis_binary

PACKAGES = (
    *("celery", "kombu", "redis", "hiredis", "httpx", "httptools", "uvloop"),
    *("dramatiq", "taskiq", "taskiq-redis", "arq", "saq"),
)
_ASK = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try: found[name] = version(name)
    except PackageNotFoundError: pass
print(json.dumps(found))
"""


def facts() -> list[str]:
    """Return facts about the machine, one per line."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"{os.cpu_count()} cores, {_cpu_model()}; {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, {find_redis_binary()} (append-only file, everysec)",
        f"load before the race (1, 5, 15 minutes): {load}",
    ]


def versions(python: Path) -> str:
    """Return the versions of the packages in this interpreter's environment."""
    asked = subprocess.run([python, "-c", _ASK, *PACKAGES], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return ", ".join(f"{name} {version}" for name, version in json.loads(asked.stdout).items())


def _cpu_model() -> str:
    try:
        lines: Iterable[str] = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
