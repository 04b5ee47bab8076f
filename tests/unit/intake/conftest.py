"""An intake in memory for each test."""

import pytest

from tests.unit.intake.desk import Desk
from worker.vault.vault import Vault


@pytest.fixture
def desk(vault: Vault) -> Desk:
    return Desk(vault)
