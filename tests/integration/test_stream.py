"""The stream reader against a real Redis: what it read is recorded before it is acknowledged, whatever happens."""

import pytest
import redis
from redis import Redis

from tests.waiting import eventually
from worker import stream
from worker.errors import InvalidEvent
from worker.ledger.views import STREAM
from worker.stream import StreamReader


class Memory:
    """An intake that remembers, and breaks on what it is told to."""

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

    def reject(self, error: InvalidEvent, *, source: str, body: bytes) -> None:
        assert source == "stream"
        self.rejected.append(f"{error.reason} {body!r}")


@pytest.fixture
def intake() -> Memory:
    return Memory()


def reader_of(client: Redis, intake: Memory, name: str = "one") -> StreamReader:
    reader = StreamReader(client, intake, name=name, on_recorded=lambda: None)  # type: ignore[arg-type]
    reader.join()
    return reader


def test_what_came_before_the_first_worker_is_read_too(redis_client: Redis, intake: Memory) -> None:
    redis_client.xadd(STREAM, {"event": b"early"})
    assert reader_of(redis_client, intake).step() == 1
    assert intake.taken == [b"early"]
    assert redis_client.xlen(STREAM) == 0


def test_one_entry_that_breaks_us_is_set_aside_and_stops_no_other(redis_client: Redis, intake: Memory) -> None:
    reader = reader_of(redis_client, intake)
    for body in (b"a", b"poison", b"b"):
        redis_client.xadd(STREAM, {"event": body})
    reader.step()
    assert intake.taken == [b"a", b"b"]
    assert intake.rejected == ["event: could not be taken in (ZeroDivisionError) b'poison'"]
    assert redis_client.xlen(STREAM) == 0


def test_while_the_ledger_is_away_entries_stay_pending_and_another_reader_takes_them_over(
    redis_client: Redis, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.xadd(STREAM, {"event": b"kept"})
    intake.is_away = True
    first = reader_of(redis_client, intake)
    with pytest.raises(redis.ConnectionError):
        first.step()
    first.leave()
    assert [consumer["pending"] for consumer in redis_client.xinfo_consumers(STREAM, "nightly")] == [1]
    intake.is_away = False
    monkeypatch.setattr(stream, "TAKE_OVER_AFTER_MS", 50)
    monkeypatch.setattr(stream, "TAKE_OVER_EVERY_SECONDS", 0.01)
    second = reader_of(redis_client, intake, "two")
    eventually(second.step, describe="the take-over")
    assert intake.taken == [b"kept"]
    second.leave()
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 0


def test_a_stream_that_somebody_deleted_is_made_anew(redis_client: Redis, intake: Memory) -> None:
    reader = reader_of(redis_client, intake)
    redis_client.delete(STREAM)
    assert reader.step() == 0
    redis_client.xadd(STREAM, {"event": b"after"})
    assert reader.step() == 1
    assert intake.taken == [b"after"]
