"""One running Nightly for all producers: each of them tells of logins of its own, and the emulator hears of those."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly
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
    """The folder of the installed Node packages; skips the test, with the reason, where they cannot be had."""
    if reason := why_not_installed():
        pytest.skip(reason)
    return MODULES


@pytest.fixture
def surroundings(working: Nightly) -> Mapping[str, str]:
    """What a producer's environment holds: Redis' address, the public key, and this environment's commands on PATH."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    public_key = str(working.services.vault.public_keys[0])
    return kept | {"PATH": path, "REDIS_URL": working.stack.environment["REDIS_URL"], "SEAL_TO": public_key}


def expect_call(working: Nightly, login_id: str, *, on: bool) -> None:
    """Wait until Flinks was asked, once, to switch this login on or off."""

    def calls() -> list[bool | None]:
        return [call.wish for call in working.emulator.calls() if call.login_id == login_id]

    eventually(calls, seconds=20, describe="a call for the login")
    working.comes_to_rest()
    assert calls() == [on]
    assert working.flags()[login_id] is on
