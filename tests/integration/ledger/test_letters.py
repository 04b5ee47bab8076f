"""What becomes of a dead letter: filed, closed once, and its login due again with the wish of now."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from worker.errors import LetterClosed, UnknownLetter
from worker.ledger import Ledger, Letters, Message, Parked, Settled
from worker.ledger import letters as letters_module
from worker.ledger.letters import Letter
from worker.ledger.views import Views

DAY_MS = 86_400_000
LOGIN = "nightly:login:lgn_0"
GROUP = f"nightly:group:{INSTANCE}|DISABLED_LOGIN|on"
MESSAGE_GROUP = "nightly:group:|invalid_event|"


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


@pytest.fixture
def letter(ledger: Ledger, letters: Letters, clock: Clock, claim: Any, settle: Any) -> Letter:
    """Of a login that failed for now, and 2 s later for good; its account is known."""
    ledger.record([replace(wish, account_id="cust-42") for wish in wishes(1)])
    (tried,) = claim().claims
    settle(tried, "transient", code="http_503", flags="d", attempt='{"code": "http_503"}')
    clock.ms += 2000
    (tried,) = claim().claims
    fields = {"code": "DISABLED_LOGIN", "http_status": 401, "message": "it is disabled"}
    assert settle(tried, "dead", attempt='{"code": "DISABLED_LOGIN"}', **fields) is Settled.PARKED
    (letter,) = letters.list()
    return letter


def message(letter_id: str = "ev-1", **changes: Any) -> Message:
    fields = {"code": "invalid_event", "reason": "body: is not JSON", "source": "stream", "size": 6}
    return Message(letter_id, sealed_body=b"sealed", **(fields | changes))


def park(letters: Letters, **changes: Any) -> bool:
    """Park one message; returns whether its letter is the first of its group."""
    return letters.park([message(**changes)]) == [Parked.FIRST]


def test_a_letter_says_everything_that_is_known_of_its_login(letter: Letter, letters: Letters, clock: Clock) -> None:
    assert letter == Letter(
        id="dl-1",
        kind="login",
        status="open",
        code="DISABLED_LOGIN",
        created_at=clock.ms,
        last_at=clock.ms,
        login="lgn_0",
        instance=INSTANCE,
        wish="on",
        lane="live",
        revision=1,
        event_id="e0",
        account_id="cust-42",
        occurred_us=1_600_000_000_000_000,
        http_status=401,
        message="it is disabled",
        failures=2,
        first_at=clock.ms - 2000,
    )
    (group,) = letters.groups()
    assert (group.code, group.wish, group.count, group.oldest_at) == ("DISABLED_LOGIN", "on", 1, clock.ms)


def test_a_login_that_is_given_up_keeps_its_history_until_the_letter_is_closed(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    assert [attempt["code"] for attempt in letters.attempts("lgn_0")] == ["http_503", "DISABLED_LOGIN"]
    assert redis_client.ttl("nightly:attempts:lgn_0") == -1
    state = Views(redis_client, now_ms=clock).login("lgn_0")
    assert state is not None
    assert (state["state"], state["dead_letter"], state["last_code"], state["lease_until"]) == (
        "dead_lettered",
        letter.id,
        "DISABLED_LOGIN",
        None,
    )
    letters.close(letter.id, "resolved", by="ann")
    assert 29.9 * DAY_MS < redis_client.pttl("nightly:attempts:lgn_0") <= 30 * DAY_MS


def test_a_replay_makes_the_login_due_in_the_backfill_lane_as_if_it_had_never_failed(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    clock.ms += 1000
    assert letters.close(letter.id, "replayed", by="ann", note="they called us") == "replayed"
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:backfill", "lgn_0") == clock.ms
    assert redis_client.hget(LOGIN, "l") == b"backfill"
    assert redis_client.hget(f"nightly:tally:{INSTANCE}", "replayed") == b"1"
    assert not redis_client.hexists(LOGIN, "x")
    (again,) = claim().claims
    assert (again.failures, again.first_failure_ms) == (0, None)
    assert settle(again, "applied") is Settled.APPLIED
    assert redis_client.hget(f"nightly:tally:{INSTANCE}", "applied_on") == b"1", "a replay ends in the tally again"


@pytest.mark.parametrize("forgotten", ["n", "f", "d", "j", "u"])
def test_a_replay_forgets_how_the_login_failed(
    letter: Letter, letters: Letters, redis_client: Redis, forgotten: str
) -> None:
    redis_client.hset(LOGIN, forgotten, "1")
    letters.close(letter.id, "replayed", by="ann")
    assert not redis_client.hexists(LOGIN, forgotten)


def test_a_resolved_letter_leaves_its_login_as_it_is(
    letter: Letter, letters: Letters, redis_client: Redis, claim: Any
) -> None:
    assert letters.close(letter.id, "resolved", by="ann") == "resolved"
    assert redis_client.hmget(LOGIN, "s", "x") == [b"dead", None]
    assert claim().state == "idle"
    assert not redis_client.hexists(f"nightly:tally:{INSTANCE}", "replayed")


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_a_closed_letter_says_by_whom_and_why_and_stays_readable_for_90_days(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock, action: str
) -> None:
    clock.ms += 5000
    letters.close(letter.id, action, by="ann", note="they called us")
    closed = letters.get(letter.id)
    assert (closed.status, closed.closed_at, closed.closed_by, closed.note) == (
        action,
        clock.ms,
        "ann",
        "they called us",
    )
    assert 89.9 * DAY_MS < redis_client.pttl(f"nightly:letter:{letter.id}") <= 90 * DAY_MS
    assert not redis_client.exists("nightly:letters:open", GROUP)
    assert [item.id for item in letters.list(is_open=False)] == [letter.id]
    assert list(letters.groups()) == []


def test_a_letter_is_closed_once_and_one_that_does_not_exist_not_at_all(letter: Letter, letters: Letters) -> None:
    letters.close(letter.id, "resolved", by="ann")
    with pytest.raises(LetterClosed):
        letters.close(letter.id, "replayed", by="bob")
    assert letters.get(letter.id).closed_by == "ann"
    with pytest.raises(UnknownLetter):
        letters.close("dl-99", "replayed", by="bob")


@pytest.mark.parametrize("moved_on", [{"s": "done"}, {"x": "dl-7"}])
def test_a_letter_whose_login_moved_on_by_itself_replays_nothing(
    letter: Letter, letters: Letters, redis_client: Redis, claim: Any, moved_on: dict[str, str]
) -> None:
    redis_client.hset(LOGIN, mapping=moved_on)
    assert letters.close(letter.id, "replayed", by="ann") == "superseded"
    assert letters.get(letter.id).status == "superseded"
    assert claim().state == "idle"
    assert redis_client.hget(LOGIN, "x") == (b"dl-7" if "x" in moved_on else None), "another letter stays"


def test_closed_letters_leave_the_list_after_90_days(
    letter: Letter, letters: Letters, ledger: Ledger, redis_client: Redis, clock: Clock
) -> None:
    letters.close(letter.id, "resolved", by="ann")
    park(letters)
    clock.ms += 90 * DAY_MS - 1
    letters.close("ev-1", "resolved", by="ann")
    ledger.pulse({}, worker="w", slots=1)
    assert redis_client.zcard("nightly:letters:closed") == 2
    clock.ms += 1
    redis_client.delete("nightly:tidied")
    ledger.pulse({}, worker="w", slots=1)
    assert redis_client.zrange("nightly:letters:closed", 0, -1) == [b"ev-1"]


# -- messages ----------------------------------------------------------------------------------------------


def test_a_message_that_comes_again_is_counted_and_the_newest_reason_stands(
    letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    assert park(letters, reason="time: is required", source="stream")
    first_at = clock.ms
    clock.ms += 1000
    assert not park(letters, reason="data: is required", source="celery")
    kept = letters.get("ev-1")
    assert (kept.kind, kept.status, kept.code, kept.instance) == ("message", "open", "invalid_event", "")
    assert (kept.seen, kept.created_at, kept.last_at) == (2, first_at, clock.ms)
    assert (kept.reason, kept.source, kept.wish) == ("data: is required", "celery", "")
    assert redis_client.hget("nightly:tally", "rejected") == b"2"
    assert redis_client.zrange(MESSAGE_GROUP, 0, -1) == [b"ev-1"]


def test_a_message_whose_reason_is_of_another_kind_by_now_moves_to_that_group(
    letters: Letters, redis_client: Redis
) -> None:
    assert park(letters)
    assert park(letters, code="unknown_instance"), "the first of its kind"
    assert not redis_client.exists(MESSAGE_GROUP)
    assert [(group.code, group.count) for group in letters.groups()] == [("unknown_instance", 1)]
    assert letters.get("ev-1").seen == 2


def test_only_the_first_open_letter_of_a_group_is_its_first(letters: Letters) -> None:
    assert letters.park([message("ev-1"), message("ev-2")]) == [Parked.FIRST, Parked.KEPT]


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_a_message_that_was_closed_opens_again_when_it_comes_again(
    letters: Letters, redis_client: Redis, action: str
) -> None:
    park(letters)
    assert letters.close("ev-1", action, by="ann", note="seen to") == action
    assert letters.get("ev-1").status == action
    assert park(letters), "no letter of its group was open"
    assert letters.get("ev-1").status == "open"
    assert redis_client.ttl("nightly:letter:ev-1") == -1
    assert [item.id for item in letters.list(is_open=False)] == []
    assert [item.id for item in letters.list()] == ["ev-1"]


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_a_message_s_body_is_kept_as_long_as_its_letter_is_open(
    letters: Letters, redis_client: Redis, action: str
) -> None:
    park(letters)
    assert letters.body("ev-1") == b"sealed"
    assert redis_client.hgetall("nightly:kept") == {b"messages": b"1", b"bytes": b"6"}
    letters.close("ev-1", action, by="ann")
    assert letters.body("ev-1") == b""
    assert redis_client.hgetall("nightly:kept") == {b"messages": b"0", b"bytes": b"0"}
    park(letters)
    assert letters.body("ev-1") == b"sealed"


@pytest.mark.parametrize("limit", [("MESSAGES_AT_MOST", 2), ("MESSAGE_BYTES_AT_MOST", 17)])
def test_beyond_the_limits_a_message_is_only_counted_and_a_person_is_notified_once(
    ledger: Ledger, letters: Letters, redis_client: Redis, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(letters_module, *limit)
    found = letters.park([message(f"ev-{number}") for number in range(5)])
    assert found == [Parked.FIRST, Parked.KEPT, *[Parked.UNKEPT] * 3]
    assert [letter.id for letter in letters.list()] == ["ev-0", "ev-1"]
    assert redis_client.hmget("nightly:tally", "rejected", "rejected_unkept") == [b"5", b"3"]
    assert redis_client.keys("nightly:letter*ev-4") == []
    notices = ledger.pulse({}, worker="a", slots=2).notices
    assert [(notice.kind, notice.parts) for notice in notices if notice.kind == "unkept"] == [("unkept", ["1"])]


def test_what_comes_again_or_may_hold_an_event_is_kept_beyond_the_limits(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    park(letters)
    monkeypatch.setattr(letters_module, "MESSAGES_AT_MOST", 1)
    assert letters.park([message(), message("ev-2", must_keep=True)]) == [Parked.KEPT, Parked.KEPT]
    assert letters.get("ev-1").seen == 2


def test_a_closed_letter_makes_room_for_another(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_module, "MESSAGES_AT_MOST", 1)
    park(letters)
    letters.close("ev-1", "resolved", by="ann")
    assert letters.park([message("ev-2"), message("ev-3")]) == [Parked.FIRST, Parked.UNKEPT]
