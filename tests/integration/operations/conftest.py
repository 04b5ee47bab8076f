"""The fixture of the tests of actions on dead letters."""

import pytest
from redis import Redis

from tests.integration.operations.reviewing import Review
from worker.vault.vault import Vault


@pytest.fixture
def review(redis_client: Redis, vault: Vault) -> Review:
    return Review(redis_client, vault)
