"""Messages that were not accepted: kept once, up to the limits, until the letter is closed."""

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import Clock
from tests.integration.ledger.rejected import message, park
from tests.people import ANN
from worker.ledger import Kept, Ledger, Letters
from worker.ledger import dead_letters as letters_module
from worker.ledger.letter_changes import Act, LetterChanges

MESSAGE_GROUP = "nightly:group:|invalid_event|"


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


def test_a_repeated_message_is_counted_and_keeps_its_newest_reason(
    letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    assert park(letters, reason="time: is required", source="stream")
    first_at = clock.ms
    clock.ms += 1000
    origin = {"event_id": "evt-1", "event_source": "crm", "account_id": "cust-42"}
    assert not park(letters, reason="data: is required", source="celery", **origin)
    kept = letters.get("ev-1")
    assert (kept.kind, kept.status, kept.code, kept.instance) == ("message", "open", "invalid_event", "")
    assert (kept.seen, kept.created_at, kept.last_at) == (2, first_at, clock.ms)
    assert (kept.reason, kept.source, kept.wish) == ("data: is required", "celery", "")
    assert (kept.event_id, kept.event_source, kept.account_id) == ("evt-1", "crm", "cust-42")
    assert redis_client.hget("nightly:tally", "rejected") == b"2"
    assert redis_client.zrange(MESSAGE_GROUP, 0, -1) == [b"ev-1"]


def test_a_repeated_message_with_another_code_moves_to_that_group(letters: Letters, redis_client: Redis) -> None:
    assert park(letters)
    assert park(letters, code="unknown_instance"), "the first of its kind"
    assert not redis_client.exists(MESSAGE_GROUP)
    assert [(group.code, group.count) for group in letters.groups()] == [("unknown_instance", 1)]
    assert letters.get("ev-1").seen == 2


def test_only_the_first_open_letter_of_a_group_is_its_first(letters: Letters) -> None:
    assert letters.keep_rejected([message("ev-1"), message("ev-2")]) == [Kept.FIRST, Kept.KEPT]


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_a_closed_message_opens_again_when_it_is_repeated(letters: Letters, redis_client: Redis, action: str) -> None:
    park(letters)
    assert ledger_calls.close(letters, "ev-1", action, by="ann", note="seen to") == action
    assert letters.get("ev-1").status == action
    assert park(letters), "no letter of its group was open"
    assert letters.get("ev-1").status == "open"
    assert redis_client.ttl("nightly:letter:ev-1") == -1
    assert [item.id for item in ledger_calls.list_letters(letters, state="closed")] == []
    assert [item.id for item in ledger_calls.list_letters(letters)] == ["ev-1"]


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_the_body_of_a_message_is_kept_while_its_letter_is_open(
    letters: Letters, redis_client: Redis, action: str
) -> None:
    park(letters)
    assert letters.body("ev-1") == b"sealed"
    assert redis_client.hgetall("nightly:kept") == {b"messages": b"1", b"bytes": b"6"}
    ledger_calls.close(letters, "ev-1", action, by="ann")
    assert letters.body("ev-1") == b""
    assert redis_client.hgetall("nightly:kept") == {b"messages": b"0", b"bytes": b"0"}
    park(letters)
    assert letters.body("ev-1") == b"sealed"


@pytest.mark.parametrize("limit", [("MESSAGES_AT_MOST", 2), ("MESSAGE_BYTES_AT_MOST", 17)])
def test_beyond_the_limits_a_message_is_only_counted_with_one_notice(
    ledger: Ledger, letters: Letters, redis_client: Redis, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(letters_module, *limit)
    found = letters.keep_rejected([message(f"ev-{number}") for number in range(5)])
    assert found == [Kept.FIRST, Kept.KEPT, *[Kept.UNKEPT] * 3]
    assert [letter.id for letter in ledger_calls.list_letters(letters)] == ["ev-0", "ev-1"]
    assert redis_client.hmget("nightly:tally", "rejected", "rejected_unkept") == [b"5", b"3"]
    assert redis_client.keys("nightly:letter*ev-4") == []
    notices = ledger.pulse({}, worker="a", slots=2).notices
    assert [(notice.kind, notice.parts) for notice in notices if notice.kind == "unkept"] == [("unkept", ["1"])]


def test_repeated_messages_and_possible_events_are_kept_beyond_the_limits(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(letters)
    monkeypatch.setattr(letters_module, "MESSAGES_AT_MOST", 1)
    assert letters.keep_rejected([message(), message("ev-2", must_keep=True)]) == [Kept.KEPT, Kept.KEPT]
    assert letters.get("ev-1").seen == 2


def test_a_closed_letter_makes_room_for_another(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_module, "MESSAGES_AT_MOST", 1)
    park(letters)
    ledger_calls.close(letters, "ev-1", "resolved", by="ann")
    assert letters.keep_rejected([message("ev-2"), message("ev-3")]) == [Kept.FIRST, Kept.UNKEPT]


def test_a_repeated_message_changes_its_letter_only_with_another_reason(letters: Letters) -> None:
    park(letters)
    before = letters.get("ev-1").version
    park(letters)
    assert letters.get("ev-1").version == before, "or nobody could act on a message that comes every second"
    park(letters, reason="time: is required")
    assert letters.get("ev-1").version == before + 1


def test_a_message_that_comes_again_for_another_code_keeps_its_owner_and_is_shown_again(
    letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    park(letters)
    changes = LetterChanges(redis_client, now_ms=clock)
    changes.change(Act("ev-1", ANN, "assign"), "owner", "team b")
    changes.change(Act("ev-1", ANN, "snooze"), "snoozed_until", clock.ms + 10**9)
    clock.ms += 1000
    park(letters, code="unknown_instance")
    letter = letters.get("ev-1")
    assert (letter.owner, letter.snoozed_until) == ("team b", None)
    assert redis_client.zrange("nightly:owned:team b", 0, -1, withscores=True) == [(b"ev-1", clock.ms)]
    assert not redis_client.exists("nightly:letters:snoozed")


def test_a_message_that_comes_again_after_its_letter_was_closed_has_a_letter_without_the_closing(
    letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    park(letters)
    LetterChanges(redis_client, now_ms=clock).change(Act("ev-1", ANN, "assign"), "owner", "team b")
    ledger_calls.close(letters, "ev-1", "resolved", by="ann", note="sent again")
    assert not redis_client.exists("nightly:owned:team b")
    park(letters)
    letter = letters.get("ev-1")
    assert (letter.status, letter.closed_by, letter.closed_at) == ("open", "", None)
    assert (letter.owner, redis_client.zcard("nightly:owned:team b")) == ("team b", 1)
