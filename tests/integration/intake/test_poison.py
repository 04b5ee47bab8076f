"""Only deaths are counted: neither a lost connection nor an error makes an event poison."""

import pytest
from redis import Redis

from worker.intake.poison import DEATHS, Deliveries
from worker.vault.vault import Vault


@pytest.fixture
def deliveries(redis_client: Redis) -> Deliveries:
    return Deliveries(redis_client, Vault([bytes(32)]))


def test_a_message_is_poison_after_three_readers_died_with_it_in_hand(deliveries: Deliveries) -> None:
    assert [deliveries.take_in_hand("name") for _ in range(DEATHS - 1)] == [1, 2]
    with deliveries.in_hand("name") as is_deadly:
        assert is_deadly


def test_the_count_is_cleared_after_any_outcome(deliveries: Deliveries, redis_client: Redis) -> None:
    for _ in range(5 * DEATHS):
        with deliveries.in_hand("name") as is_deadly, deliveries.in_hand("name"):
            assert not is_deadly
        with pytest.raises(ZeroDivisionError), deliveries.in_hand("name"):
            raise ZeroDivisionError
    assert redis_client.keys("nightly:in-hand:*") == []


def test_a_first_delivery_is_not_counted(deliveries: Deliveries, redis_client: Redis) -> None:
    with deliveries.in_hand("") as is_deadly:
        assert not is_deadly
        assert redis_client.keys("*") == []
