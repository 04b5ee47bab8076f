"""A client of the session's emulator."""

from collections.abc import Iterator

import pytest

from sandbox.emulator.remote import EmulatorControl
from tests.integration.sandbox.emulator.calling import Client


@pytest.fixture
def client(emulator: EmulatorControl) -> Iterator[Client]:
    made = Client(emulator.base_url)
    with made.http:
        yield made
