"""An intake in memory for each test."""

import pytest

from tests.unit.intake.harness import Harness
from worker.vault.vault import Vault


@pytest.fixture
def harness(vault: Vault) -> Harness:
    return Harness(vault)
