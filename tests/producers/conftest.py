"""One running Nightly for all producers; each sends events of logins of its own."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly
from tests.integration.conftest import emulator  # noqa: F401 - a fixture that this folder uses as well
from tests.producers.node_packages import MODULES, why_not_installed
from tests.waiting import eventually
from worker.services import build_services


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nightly]:
    """Redis, the emulator and one worker."""
    with BriefStack(tmp_path_factory.mktemp("producers"), isolated=True, tcp=True) as stack:
        services = build_services(stack.settings())
        yield Nightly(stack, EmulatorControl(str(stack.emulator_url)), services, services.redis)
        services.redis.close()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the installed Node packages; skips the test, with the reason, if they are not available."""
    if reason := why_not_installed():
        pytest.skip(reason)
    return MODULES


@pytest.fixture
def surroundings(working: Nightly) -> Mapping[str, str]:
    """The environment of a producer: the address of Redis, the public key, and our commands on PATH."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    public_key = str(working.services.vault.public_keys[0])
    return kept | {"PATH": path, "REDIS_URL": working.stack.environment["REDIS_URL"], "SEAL_TO": public_key}


def expect_call(working: Nightly, login_id: str, *, on: bool) -> None:
    """Wait until Flinks got exactly one call to switch this login on or off."""

    def calls() -> list[bool | None]:
        return [call.wish for call in working.emulator.calls() if call.login_id == login_id]

    eventually(calls, seconds=20, describe="a call for the login")
    working.comes_to_rest()
    assert calls() == [on]
    assert working.flags()[login_id] is on
