"""Installs the Node packages for the tests, once, as package-lock.json names and hashes them; or reports why not."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).with_name("node")
MODULES = FOLDER / "node_modules"
_INSTALLED = MODULES / ".installed"
_INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]


def why_not_installed() -> str:
    """Install missing packages; return the reason to skip their tests, or an empty text."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"no `{program}` on PATH: producers in Node are NOT tested"
    with (FOLDER / ".gitignore").open() as lock:  # several test processes, one installation
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install()


def _install() -> str:
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if _INSTALLED.exists() and _INSTALLED.read_text() == wanted:
        return ""
    try:
        subprocess.run(_INSTALL, cwd=FOLDER, check=True, timeout=120, capture_output=True, text=True)
    except subprocess.SubprocessError as error:
        said = str(error.stderr or error).strip().splitlines() or [""]
        return f"`npm ci` failed, so producers in Node are NOT tested: {' '.join(said[:3])}"
    _INSTALLED.write_text(wanted)
    return ""
