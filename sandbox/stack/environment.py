"""The environment and the keys of a stack's child processes."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.stack.private_files import read_private, write_private
from worker.config.settings import Settings
from worker.config.unknown_names import OWN_PREFIXES
from worker.vault.vault import new_key

SOURCE_ROOT = Path(__file__).resolve().parents[2]


def keep_login_keys(path: Path) -> str:
    """Return the keys in a file that only its owner can read; the first call creates the file."""
    return read_private(path) or write_private(path, new_key())


def inherited(*, isolated: bool) -> dict[str, str]:
    """Return our own environment; `isolated`: without the settings of Nightly and Celery."""
    environment = dict(os.environ)
    if isolated:
        ours = {name.upper() for name in Settings.model_fields}
        for name in os.environ:
            if name in ours or name.startswith((*OWN_PREFIXES, "CELERY_")):
                environment.pop(name)
    if (SOURCE_ROOT / "pyproject.toml").is_file():  # in a checkout, children run this code even if it is not installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE_ROOT), environment.get("PYTHONPATH")]))
    return environment


@contextlib.contextmanager
def as_child(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Replace the environment and the working folder by those of a child process."""
    before = dict(os.environ)
    with contextlib.chdir(folder):
        try:
            os.environ.clear()
            os.environ.update(environment)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
