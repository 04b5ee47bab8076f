"""Adds contenders that run the code of another commit, in an environment of its own.

The race itself (stub, backlog, measuring) is this checkout's, so both versions are measured in the same way.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.contender_list import PYTHON, ROOT, Entry


def earlier(entries: Iterable[Entry], commit: str) -> dict[str, Entry]:
    """Return, by the name of each of these entries that runs in Nightly's environment, the same one at `commit`.

    Raises subprocess.CalledProcessError if git does not know the commit, or its environment cannot be built.
    """
    found = _run("git", "rev-parse", "--short", "--verify", f"{commit}^{{commit}}").decode().strip()
    root = ROOT / ".venv-rivals" / f"nightly-{found}"
    _unpack(found, root)
    python = root / ".venv" / "bin" / "python"
    return {
        entry.name: replace(entry, name=f"{entry.name} at {found}", python=python, root=root)
        for entry in entries
        if entry.python == PYTHON
    }


def _unpack(commit: str, root: Path) -> None:
    """Put the commit's files into `root` and build its environment from its lock; the second time this is quick."""
    root.mkdir(parents=True, exist_ok=True)
    _run("tar", "-x", folder=root, given=_run("git", "archive", commit))
    _run("make", f"PYTHON={sys.executable}", ".venv/installed", folder=root)


def _run(*argv: str, folder: Path = ROOT, given: bytes = b"") -> bytes:
    done = subprocess.run(argv, cwd=folder, input=given, stdout=subprocess.PIPE, check=True)  # noqa: S603 - no shell
    return done.stdout
