"""The real parts that integration tests share: the emulator under control, and a stack that starts workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.remote import EmulatorControl
from tests.brief_stack import BriefStack
from worker.embedded import EmbeddedStack
from worker.embedded.stack import EMULATOR_KEY


@pytest.fixture
def emulator(emulator_url: str) -> Iterator[EmulatorControl]:
    """The session's emulator, reset: no fault, no login, no recorded call is left of the test before."""
    with EmulatorControl(emulator_url) as control:
        control.reset()
        yield control


@pytest.fixture
def stack(tmp_path: Path, redis_url: str, emulator: EmulatorControl, login_keys: str) -> Iterator[EmbeddedStack]:
    """A stack on the session's Redis and emulator, with no worker yet: call `stack.start_worker()`."""
    settings = {
        "REDIS_URL": redis_url,
        "LOGIN_KEYS": login_keys,
        "FLINKS_BASE_URL": emulator.base_url,
        "FLINKS_AUTH_KEY": EMULATOR_KEY,
    }
    with BriefStack(tmp_path / "stack", isolated=True, overrides=settings, workers=0) as stack:
        yield stack
