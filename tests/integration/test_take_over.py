"""What a dead reader held is another's: each event judged alone, and only a death counts as a death."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.integration.readers import die
from tests.waiting import eventually
from worker import entries, entry_group
from worker.dead_letters import DeadLetters
from worker.deliveries import DEATHS, Deliveries
from worker.entry_group import EntryGroup
from worker.errors import NotReplicated
from worker.intake import Intake
from worker.ledger import Ledger, Letters
from worker.ledger.views import STREAM
from worker.seal import Vault
from worker.stream import StreamReader

Reader = Callable[..., StreamReader]
TIME = "2026-01-01T00:00:00Z"


def event(number: int, **changes: Any) -> dict[str, Any]:
    document = {"specversion": "1.0", "id": f"evt-{number}", "source": "crm", "type": "account.linked", "time": TIME}
    return document | {"data": {"loginId": f"login-number-{number}"}} | changes


def add(client: Redis, document: object, **fields: str) -> bytes:
    entry_id: bytes = client.xadd(STREAM, {"event": json.dumps(document), **fields})  # type: ignore[assignment, dict-item]
    return entry_id


@pytest.fixture(autouse=True)
def _take_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 0)
    monkeypatch.setattr(entry_group, "LOOK_EVERY_SECONDS", 0.0)


@pytest.fixture
def intake(redis_client: Redis, vault: Vault) -> Intake:
    parts = Ledger(redis_client), Letters(redis_client), vault
    options: dict[str, Any] = {"instances": frozenset({"toolbox"}), "default_instance": "toolbox"}
    return Intake(*parts, max_ahead_seconds=3600, **options)


@pytest.fixture
def reader(redis_client: Redis, intake: Intake, vault: Vault) -> Reader:
    def reader(name: str) -> StreamReader:
        deliveries = Deliveries(redis_client, vault)
        made = StreamReader(redis_client, intake, deliveries, name=name, on_recorded=lambda: None)
        made.join()
        return made

    return reader


def recorded(client: Redis) -> int:
    return int(client.hget("nightly:tally:toolbox", "recorded") or 0)


def die_with_all_in_hand(reader: StreamReader) -> None:
    reader._at_most = 200
    assert reader._fresh()
    die(reader)


def die_with_a_suspect_in_hand(reader: StreamReader, source: str = "stream") -> None:
    """Count as `step` does, and get no further."""
    suspect = reader._group.claim_next()
    assert suspect is not None
    reader._deliveries.take_in_hand(f"{source}:{suspect.id.decode()}")
    die(reader)


def empty(reader: StreamReader) -> None:
    for _ in range(10_000):
        if not reader.step():
            return


@pytest.mark.parametrize("deaths", [1, DEATHS, 2 * DEATHS - 1])
def test_a_batch_that_outlived_its_readers_is_split_and_none_of_its_events_is_lost(
    redis_client: Redis, reader: Reader, deaths: int
) -> None:
    add(redis_client, [event(number) for number in range(3000)])
    die_with_all_in_hand(reader("dead-0"))
    for death in range(1, deaths):
        die_with_a_suspect_in_hand(reader(f"dead-{death}"))
    empty(reader("alive"))
    assert recorded(redis_client) == 3000
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.keys("nightly:in-hand:*") == []
    assert not list(Letters(redis_client).list())


def test_in_a_batch_that_is_split_only_the_deadly_event_is_set_aside(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """A SIGKILL, seen from the test."""

    take_in = Intake.accept_bodies

    def accept(intake: Intake, bodies: Any) -> bool:
        if any(b"evt-7" in body for body in bodies):
            raise Death
        return take_in(intake, bodies)

    monkeypatch.setattr(Intake, "accept_bodies", accept)
    add(redis_client, [event(number) for number in range(20)])
    for name in range(20):
        mortal = reader(f"reader-{name}")
        try:
            empty(mortal)
        except Death:
            die(mortal)
        if not redis_client.xlen(STREAM):
            break
    assert recorded(redis_client) == 19
    (letter,) = Letters(redis_client).list()
    assert letter.reason == Deliveries.REASON


def test_a_batch_that_kills_even_when_it_is_split_is_set_aside_whole_and_can_be_replayed(
    redis_client: Redis, reader: Reader, intake: Intake, vault: Vault
) -> None:
    document = [event(number, subject="x" * 200) for number in range(2000)]
    add(redis_client, document)
    die_with_all_in_hand(reader("dead-0"))
    for death in range(1, 2 * DEATHS):
        die_with_a_suspect_in_hand(reader(f"dead-{death}"))
    empty(reader("alive"))
    assert redis_client.xlen(STREAM) == 0
    letters = Letters(redis_client)
    (letter,) = letters.list()
    assert (letter.reason, letter.body_bytes) == (Deliveries.REASON, len(json.dumps(document)))
    assert [closed.outcome for closed in DeadLetters(letters, vault, intake).replay([letter.id], by="ann")] == [
        "replayed"
    ]
    assert recorded(redis_client) == 2000


def test_a_batch_that_is_no_json_is_kept_whole(redis_client: Redis, reader: Reader) -> None:
    redis_client.xadd(STREAM, {"event": b"[{" + b"x" * 500_000})
    die_with_all_in_hand(reader("dead"))
    empty(reader("alive"))
    (letter,) = Letters(redis_client).list()
    assert (letter.reason, letter.body_bytes) == ("body: is not JSON", 500_002)


def test_a_reader_at_work_keeps_what_it_holds_however_long_it_takes(
    redis_client: Redis, reader: Reader, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 200)
    slow, others = reader("slow"), [reader(f"other-{number}") for number in range(3)]
    may_end = threading.Event()
    take_in = intake.accept_bodies
    monkeypatch.setattr(intake, "accept_bodies", lambda bodies: may_end.wait(20) and take_in(bodies))
    add(redis_client, [event(1), event(2)])
    working = threading.Thread(target=slow.step)
    working.start()
    eventually(lambda: redis_client.xinfo_groups(STREAM)[0]["pending"], describe="the entry to be in hand")
    rounds = 0
    while redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] < 1000:
        slow.beat()
        assert [other._group.claim_next() for other in others] == [None] * 3
        rounds += 1
    may_end.set()
    working.join(20)
    assert rounds > 3
    assert recorded(redis_client) == 2
    assert redis_client.keys("nightly:in-hand:*") == []


def test_entries_that_were_trimmed_hide_none_behind_them(redis_client: Redis, reader: Reader) -> None:
    for number in range(200):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    redis_client.xtrim(STREAM, maxlen=50, approximate=False)
    empty(reader("alive"))
    assert recorded(redis_client) == 50
    assert redis_client.xlen(STREAM) == 0
    assert redis_client.xpending(STREAM, "nightly")["pending"] == 0


def test_an_entry_too_large_for_a_worker_is_set_aside_by_redis_and_never_loaded(
    redis_client: Redis, reader: Reader
) -> None:
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
    (letter,) = Letters(redis_client).list()
    key = f"{STREAM}:oversize:{entry_id}"
    assert letter.reason.endswith(key)
    assert redis_client.hget(key, "event") == body
    assert redis_client.ttl(key) > 80 * 86_400
    assert redis_client.xlen(STREAM) == 0


def test_an_entry_too_large_that_a_reader_survived_is_set_aside_the_same_way(
    redis_client: Redis, reader: Reader
) -> None:
    redis_client.xadd(STREAM, {"event": b"x" * (entries.LARGEST_ENTRY_BYTES + 1)})
    add(redis_client, event(1))
    empty(reader("alive"))
    assert recorded(redis_client) == 1
    assert len(redis_client.keys(f"{STREAM}:oversize:*")) == 1
    assert redis_client.xlen(STREAM) == 0


def test_a_read_whose_reply_was_lost_is_taken_up_by_the_same_reader_and_is_no_death(
    redis_client: Redis, reader: Reader
) -> None:
    add(redis_client, [event(1), event(2)])
    alive = reader("alive")
    assert alive._fresh()  # and the reply never arrives
    empty(alive)
    assert recorded(redis_client) == 2
    assert redis_client.keys("nightly:in-hand:*") == []


def test_two_readers_that_see_the_same_dead_one_share_its_entries(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    one, two = reader("one"), reader("two")
    eventually(
        lambda: redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] > 20,
        describe="entries that rest",
    )
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 10)
    while redis_client.xlen(STREAM):
        one.step()
        two.step()
    assert recorded(redis_client) == 40
    assert redis_client.hget("nightly:tally:toolbox", "duplicate") is None


def test_what_another_reader_claimed_since_the_look_is_left_to_it(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    one, two = reader("one"), reader("two")
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 200)
    eventually(one._group.claim_next, describe="the first entry")
    assert two._group.claim_next()
    redis_client.xack(STREAM, "nightly", redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["message_id"])
    while redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] < 300:
        two.beat()
    assert one._group.claim_next() is None


def test_a_reader_that_ends_in_good_order_with_a_suspect_in_hand_did_not_die_of_it(
    redis_client: Redis, reader: Reader, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(redis_client, event(1))
    die_with_all_in_hand(reader("dead"))

    def refuse(_: object) -> bool:
        raise NotReplicated

    with monkeypatch.context() as patch:
        patch.setattr(intake, "accept_bodies", refuse)
        for number in range(2 * DEATHS):
            restarted = reader(f"restarted-{number}")
            with pytest.raises(NotReplicated):
                empty(restarted)
            restarted.leave()
    empty(reader("alive"))
    assert recorded(redis_client) == 1
    assert not list(Letters(redis_client).list())


def test_what_a_reader_held_when_it_ended_in_good_order_is_taken_over_and_no_death_is_counted(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    take_in_hand = Deliveries.take_in_hand
    monkeypatch.setattr(Deliveries, "take_in_hand", lambda *args: counted.append(args[1]) or take_in_hand(*args))
    add(redis_client, [event(1), event(2)])
    for name in ("stopped", "stopped too"):
        stopped = reader(name)
        assert stopped._fresh() or stopped._group.claim_next()
        stopped.leave()
    empty(reader("next"))
    assert recorded(redis_client) == 2
    assert counted == []
