"""The stream reader on a real Redis: an entry is recorded before it is acknowledged."""

from collections.abc import Iterable
from typing import Any

import pytest
import redis
from redis import Redis

from tests.integration.intake.conftest import die
from tests.waiting import eventually
from worker.events.channels import STREAM
from worker.intake import redis_stream as entries
from worker.intake import stream_group as entry_group
from worker.intake.accept import Rejection
from worker.intake.poison import DEATHS, Deliveries
from worker.intake.redis_stream import StreamReader
from worker.vault.vault import Vault


class Memory:
    """An intake in memory that fails on request."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.rejected: list[str] = []
        self.is_away = False

    def accept_bodies(self, bodies: list[bytes]) -> bool:
        if self.is_away:
            raise redis.ConnectionError
        if any(b"poison" in body for body in bodies):
            raise ZeroDivisionError
        self.taken += bodies
        return True

    def reject(self, rejections: Iterable[Rejection]) -> None:
        for each in rejections:
            assert each.source == "stream"
            self.rejected.append(f"{each.error.reason} {each.body!r}")


@pytest.fixture
def intake() -> Memory:
    return Memory()


def reader_of(client: Redis, intake: Memory, name: str = "one") -> StreamReader:
    deliveries = Deliveries(client, Vault([bytes(32)]))
    reader = StreamReader(client, intake, deliveries, name=name, on_recorded=lambda: None)  # type: ignore[arg-type]
    reader.join()
    return reader


def test_entries_added_before_the_first_worker_started_are_read(redis_client: Redis, intake: Memory) -> None:
    redis_client.xadd(STREAM, {"event": b"early"})
    assert reader_of(redis_client, intake).step() == 1
    assert intake.taken == [b"early"]
    assert redis_client.xlen(STREAM) == 0


def test_an_entry_that_triggers_a_bug_is_set_aside_and_the_others_are_recorded(
    redis_client: Redis, intake: Memory
) -> None:
    reader = reader_of(redis_client, intake)
    for body in (b"a", b"poison", b"b"):
        redis_client.xadd(STREAM, {"event": body})
    reader.step()
    assert intake.taken == [b"a", b"b"]
    assert intake.rejected == ["event: could not be recorded (ZeroDivisionError) b'poison'"]
    assert redis_client.xlen(STREAM) == 0


def test_while_the_ledger_is_unavailable_entries_stay_pending_and_another_reader_takes_them_over(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.xadd(STREAM, {"event": b"kept"})
    intake.is_away = True
    first = reader_of(redis_client, intake)
    with pytest.raises(redis.ConnectionError):
        first.step()
    assert [consumer["pending"] for consumer in redis_client.xinfo_consumers(STREAM, "nightly")] == [1]
    intake.is_away = False
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 50)
    monkeypatch.setattr(entry_group, "LOOK_EVERY_SECONDS", 0.01)
    die(first)
    second = reader_of(redis_client, intake, "two")
    eventually(second.step, describe="the take-over")
    assert intake.taken == [b"kept"]
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 0


def test_an_entry_that_redis_could_not_record_is_tried_again_before_more_is_read(
    redis_client: Redis, intake: Memory
) -> None:
    reader = reader_of(redis_client, intake)
    redis_client.xadd(STREAM, {"event": b"first"})
    intake.is_away = True
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            reader.step()
        redis_client.xadd(STREAM, {"event": b"later"})
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 1
    intake.is_away = False
    assert [reader.step(), reader.step()] == [1, 3]
    assert intake.taken == [b"first", b"later", b"later", b"later"]


def test_large_entries_are_recorded_and_acknowledged_in_portions(redis_client: Redis, intake: Memory) -> None:
    reader = reader_of(redis_client, intake)
    for _ in range(4):
        redis_client.xadd(STREAM, {"event": b"x" * (entries.TAKE_IN_BYTES // 2)})
    pending: list[int] = []
    take = intake.accept_bodies
    intake.accept_bodies = lambda bodies: (
        pending.append(  # type: ignore[method-assign]
            redis_client.xpending(STREAM, "nightly")["pending"]
        )
        or take(bodies)
    )
    assert [reader.step(), reader.step()] == [2, 2]
    assert pending == [4, 2]


def test_readers_gone_for_long_are_removed_from_the_group_unless_they_hold_entries(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        entry_group, "TAKE_OVER_AFTER_MS", 60_000
    )  # otherwise the last reader takes over the entries of `holding`
    gone, holding, alive = (reader_of(redis_client, intake, name) for name in ("gone", "holding", "alive"))
    redis_client.xadd(STREAM, {"event": b"a"})
    gone.step()
    intake.is_away = True
    redis_client.xadd(STREAM, {"event": b"b"})
    with pytest.raises(redis.ConnectionError):
        holding.step()
    monkeypatch.setattr(entry_group, "GONE_MS", -1)
    alive.step()  # its first one
    left = [reader["name"] for reader in redis_client.xinfo_consumers(STREAM, "nightly")]
    assert b"gone" not in left
    assert b"holding" in left


def test_a_deleted_stream_is_recreated(redis_client: Redis, intake: Memory) -> None:
    reader = reader_of(redis_client, intake)
    redis_client.delete(STREAM)
    assert reader.step() == 0
    redis_client.xadd(STREAM, {"event": b"after"})
    assert reader.step() == 1
    assert intake.taken == [b"after"]


def test_large_entries_are_read_one_at_a_time_and_small_ones_together(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(redis_client, intake)
    monkeypatch.setattr(entries, "READ_BYTES", 2_000_000)
    for body in [b"x" * 2_000_000] * 12 + [b"small"] * 600:
        redis_client.xadd(STREAM, {"event": body})
    read = []
    while count := reader.step():
        read.append(count)
    assert read[:16] == [1] * 12 + [1, 2, 4, 8]
    assert max(read) == 200
    assert len(intake.taken) == 612


def test_an_entry_that_redis_could_not_record_is_tried_again_and_never_counted_as_poison(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 0)
    redis_client.xadd(STREAM, {"event": b"innocent"})
    dead = reader_of(redis_client, intake, "dead")
    dead._fresh()
    die(dead)
    alive = reader_of(redis_client, intake, "alive")
    intake.is_away = True
    for _ in range(2 * DEATHS):
        with pytest.raises(redis.ConnectionError):
            alive.step()
    intake.is_away = False
    assert alive.step() == 1
    assert (intake.taken, intake.rejected) == ([b"innocent"], [])


def test_a_reader_that_gets_an_entry_during_the_removal_of_dead_readers_keeps_it(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, other = (reader_of(redis_client, intake, name) for name in ("quiet", "other"))
    redis_client.xadd(STREAM, {"event": b"a"})
    quiet.step()
    monkeypatch.setattr(entry_group, "GONE_MS", -1)  # before Redis 7.2 it looks idle however often it asks
    consumers = redis_client.xinfo_consumers

    def read_meanwhile(*names: str) -> Any:
        found = consumers(*names)
        redis_client.xadd(STREAM, {"event": b"b"})
        assert quiet._fresh()
        return found

    monkeypatch.setattr(redis_client, "xinfo_consumers", read_meanwhile)
    other._group.forget_the_gone()
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 1
