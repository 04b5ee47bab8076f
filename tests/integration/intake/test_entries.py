"""Missing, oversized or undelivered entries are removed from the pending list and hide no other entry."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.intake.conftest import Reader, add, die_with_all_in_hand, empty, event, recorded
from tests.ledger_calls import list_letters
from worker.events.channels import STREAM
from worker.intake import redis_stream as entries
from worker.intake.stream_group import EntryGroup
from worker.ledger import Letters


def test_trimmed_entries_do_not_hide_the_entries_after_them(redis_client: Redis, reader: Reader) -> None:
    for number in range(200):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    redis_client.xtrim(STREAM, maxlen=50, approximate=False)
    empty(reader("alive"))
    assert recorded(redis_client) == 50
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 0


def test_an_oversized_entry_is_set_aside_inside_redis_and_never_loaded(redis_client: Redis, reader: Reader) -> None:
    body = b"x" * (entries.LARGEST_ENTRY_BYTES + 1)
    entry_id = redis_client.xadd(STREAM, {"event": body}).decode()  # type: ignore[union-attr]
    add(redis_client, event(1))
    die_with_all_in_hand(reader("dead"))
    alive = reader("alive")
    fetched: list[object] = []
    fetch = EntryGroup.fetch

    def seen(*args: Any, **options: Any) -> Any:
        fetched.append(fetch(*args, **options))
        return fetched[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EntryGroup, "fetch", seen)
        empty(alive)
    assert fetched[0] == len(body) + len("event")
    assert recorded(redis_client) == 1
    (letter,) = list_letters(Letters(redis_client))
    key = f"{STREAM}:oversize:{entry_id}"
    assert letter.reason.endswith(key)
    assert redis_client.hget(key, "event") == body
    assert redis_client.ttl(key) > 80 * 86_400
    assert redis_client.xlen(STREAM) == 0


def test_an_oversized_entry_that_a_reader_survived_is_set_aside_inside_redis_too(
    redis_client: Redis, reader: Reader
) -> None:
    redis_client.xadd(STREAM, {"event": b"x" * (entries.LARGEST_ENTRY_BYTES + 1)})
    add(redis_client, event(1))
    empty(reader("alive"))
    assert recorded(redis_client) == 1
    assert len(redis_client.keys(f"{STREAM}:oversize:*")) == 1
    assert redis_client.xlen(STREAM) == 0


def test_a_reader_reads_again_after_a_lost_reply_and_this_counts_as_no_death(
    redis_client: Redis, reader: Reader
) -> None:
    add(redis_client, [event(1), event(2)])
    alive = reader("alive")
    assert alive._fresh()  # and the reply never arrives
    empty(alive)
    assert recorded(redis_client) == 2
    assert redis_client.keys("nightly:in-hand:*") == []
