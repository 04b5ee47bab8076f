"""A second reader of the stream takes entries only while the first one is behind."""

from redis import Redis

from tests.integration.intake.conftest import Reader, add, event, recorded
from worker.events.channels import STREAM
from worker.intake.accept import Intake
from worker.intake.poison import Deliveries
from worker.intake.redis_stream import READ_AT_FIRST
from worker.intake.second_reader import SecondReader
from worker.vault.vault import Vault


def test_it_reads_only_while_the_first_reader_is_behind(
    redis_client: Redis, intake: Intake, vault: Vault, reader: Reader
) -> None:
    first, parts = reader("one"), (redis_client, intake, Deliveries(redis_client, vault))
    second = SecondReader(*parts, first=first, name="two", on_recorded=lambda: None)
    for number in range(2 * READ_AT_FIRST + 1):
        add(redis_client, event(number))
    assert second.step() == 0, "nobody has said yet that there is much to do"
    assert (first.step(), first.is_behind) == (READ_AT_FIRST, True)
    assert second.step() == READ_AT_FIRST
    assert (first.step(), first.is_behind) == (1, False)
    add(redis_client, event(99))
    assert second.step() == 0
    assert first.step() == 1
    assert (recorded(redis_client), redis_client.xlen(STREAM)) == (2 * READ_AT_FIRST + 2, 0)
