"""Finds the files to read settings from: `.env`, and that of the stack that `nightly run` started in this folder.

So other shells need no exports. The run keeps its settings in a private file, which it locks until it ends. A file
without a lock is what a killed run left, and is not used.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values

from worker.errors import SettingsError

DOTENV, RUN_FILE = Path(".env"), Path(".nightly/run")
NEEDED = "REDIS_URL"
Say = Callable[[str], object]


@cache
def say_once(line: str) -> None:
    """Print a line to stderr, once in the life of this process."""
    print(line, file=sys.stderr)  # noqa: T201 - for a person; logging is not configured yet


def read_dotenv() -> dict[str, str | None]:
    """Return the content of `.env`, {} without one; raises SettingsError if it is not readable text."""
    try:
        return dotenv_values(DOTENV) if DOTENV.is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError([".env: cannot be read; it must be a text file in UTF-8"]) from None


def settings_files(say: Say = say_once) -> tuple[Path, ...]:
    """Return the files to read settings from, the strongest last: `.env`, then RUN_FILE if it is to be used.

    It is used as a whole or not at all: not if `.env` or the environment names another Redis, or if the environment
    gives any of its settings another value. `say` is called with a line that says that it is used, or why not.
    """
    if not os.path.lexists(RUN_FILE):  # the usual case: `publish` comes here for each event
        return (DOTENV,)
    given = {name.upper(): value for name, value in os.environ.items() if value}
    dotenv = {name.upper(): value for name, value in read_dotenv().items() if value}
    elsewhere = given.get(NEEDED) or dotenv.get(NEEDED)
    found = _read(say if not elsewhere else lambda _: None)
    if NEEDED not in found or elsewhere not in {None, found[NEEDED]}:
        return (DOTENV,)
    if others := sorted(name for name, value in found.items() if given.get(name, value) != value):
        say(f"The stack of {RUN_FILE} is not used, because the environment sets {', '.join(others)} otherwise.")
        return (DOTENV,)
    if not found.keys() <= given.keys():
        say(f"Using the stack that `nightly run` started in this folder ({RUN_FILE}).")
    return DOTENV, RUN_FILE


def _read(say: Say) -> Mapping[str, str]:
    """Return the settings in RUN_FILE, or {} if its run has ended or another user could have written it."""
    try:
        descriptor = os.open(RUN_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        say(f"{RUN_FILE} is not used: {error.strerror}.")
        return {}
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            say(f"{RUN_FILE} is not used: it is not a plain file that only you can read and write.")
            return {}
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            values = dotenv_values(stream=file, interpolate=False)
            return {name: value for name, value in values.items() if value}
        say(f"{RUN_FILE} is not used: its `nightly run` has ended without removing it. Start it again.")
        return {}
