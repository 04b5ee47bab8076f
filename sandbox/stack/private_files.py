"""Creates folders (0700) and files (0600) that other users of this machine can neither read nor change.

Existing ones are checked before they are used, because another user may have created them.
"""

import contextlib
import os
import stat
from pathlib import Path

from worker.errors import EmbeddedStackError

ADVICE = "Remove it, or start in another folder."


def private_folder(path: Path) -> Path:
    """Create a folder with mode 0700, or check an existing one and set its mode; raises EmbeddedStackError."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = path.lstat()
    _check(path, found, is_right_kind=stat.S_ISDIR(found.st_mode), kind="a folder")
    if stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004 - ours, and at most readable by others
        path.chmod(0o700)
    return path


def check_not_open_to_all(path: Path) -> None:
    """Raise EmbeddedStackError for a folder like /tmp: a process that runs there reads `.env` and modules from it."""
    if path.stat().st_mode & stat.S_IWOTH:
        raise EmbeddedStackError(f"Every user of this machine can put settings and code into {path}. Start elsewhere.")


def read_private(path: Path) -> str | None:
    """Return the text of a file, or None if there is none; raises EmbeddedStackError if others can read or write it."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        _check(path, found, is_right_kind=stat.S_ISREG(found.st_mode), kind="a plain file")
        if found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise EmbeddedStackError(f"{path} holds a secret, and other users of this machine can read it. {ADVICE}")
        return path.read_text().strip()
    return None


def write_private(path: Path, text: str) -> str:
    """Write a file that only its owner can read, whole or not at all; return the text."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.rename(path)
    return text


def _check(path: Path, found: os.stat_result, *, is_right_kind: bool, kind: str) -> None:
    if not is_right_kind:
        raise EmbeddedStackError(f"{path} is not {kind}; a symbolic link is not accepted. {ADVICE}")
    if found.st_uid != os.geteuid():
        raise EmbeddedStackError(f"{path} belongs to another user of this machine (uid {found.st_uid}). {ADVICE}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedStackError(f"Other users of this machine can write to {path}. {ADVICE}")
