"""Dead letters: opened in a group, closed once, and replayed with the newest wish of the login."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.integration.ledger.rejected import park
from worker.errors import LetterClosed, UnknownLetter
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.dead_letters import Letter
from worker.ledger.history import attempt_text
from worker.ledger.queries import Views

DAY_MS = 86_400_000
LOGIN = "nightly:login:lgn_0"
GROUP = f"nightly:group:{INSTANCE}|DISABLED_LOGIN|on"


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


@pytest.fixture
def letter(ledger: Ledger, letters: Letters, clock: Clock, claim: Any, settle: Any) -> Letter:
    """Return the letter of a login with an account that failed twice, 2 s apart, the second time for good."""
    ledger.record([replace(wish, account_id="cust-42") for wish in wishes(1)])
    (tried,) = claim().claims
    settle(tried, "transient", code="http_503", flags="d", attempt=attempt_text(code="http_503"))
    clock.ms += 2000
    (tried,) = claim().claims
    fields = {"code": "DISABLED_LOGIN", "http_status": 401, "message": "it is disabled"}
    assert settle(tried, "dead", attempt=attempt_text(code="DISABLED_LOGIN"), **fields) is Settled.DEAD_LETTERED
    (letter,) = ledger_calls.list_letters(letters)
    return letter


def test_a_letter_holds_everything_about_its_login(letter: Letter, letters: Letters, clock: Clock) -> None:
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
        version=1,
    )
    (group,) = letters.groups()
    assert (group.code, group.wish, group.count, group.oldest_at) == ("DISABLED_LOGIN", "on", 1, clock.ms)


def test_a_dead_login_keeps_its_attempts_until_the_letter_is_closed(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock
) -> None:
    assert [attempt["code"] for attempt in letters.attempts("lgn_0")] == ["http_503", "DISABLED_LOGIN"]
    assert redis_client.ttl("nightly:history:lgn_0") == -1
    state = Views(redis_client, now_ms=clock).login("lgn_0")
    assert state is not None
    assert (state["state"], state["dead_letter"], state["last_code"], state["lease_until"]) == (
        "dead_lettered",
        letter.id,
        "DISABLED_LOGIN",
        None,
    )
    ledger_calls.close(letters, letter.id, "resolved", by="ann")
    assert 29.9 * DAY_MS < redis_client.pttl("nightly:history:lgn_0") <= 30 * DAY_MS


def test_a_replay_makes_the_login_due_in_the_backfill_lane_as_if_it_had_never_failed(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock, claim: Any, settle: Any
) -> None:
    clock.ms += 1000
    assert ledger_calls.close(letters, letter.id, "replayed", by="ann", note="they called us") == "replayed"
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
    ledger_calls.close(letters, letter.id, "replayed", by="ann")
    assert not redis_client.hexists(LOGIN, forgotten)


def test_resolving_a_letter_does_not_change_its_login(
    letter: Letter, letters: Letters, redis_client: Redis, claim: Any
) -> None:
    assert ledger_calls.close(letters, letter.id, "resolved", by="ann") == "resolved"
    assert redis_client.hmget(LOGIN, "s", "x") == [b"dead", None]
    assert claim().state == "idle"
    assert not redis_client.hexists(f"nightly:tally:{INSTANCE}", "replayed")


@pytest.mark.parametrize("action", ["replayed", "resolved"])
def test_a_closed_letter_says_by_whom_and_why_and_stays_readable_for_90_days(
    letter: Letter, letters: Letters, redis_client: Redis, clock: Clock, action: str
) -> None:
    clock.ms += 5000
    ledger_calls.close(letters, letter.id, action, by="ann", note="they called us")
    closed = letters.get(letter.id)
    assert (closed.status, closed.closed_at, closed.closed_by, closed.note) == (
        action,
        clock.ms,
        "ann",
        "they called us",
    )
    assert 89.9 * DAY_MS < redis_client.pttl(f"nightly:letter:{letter.id}") <= 90 * DAY_MS
    assert not redis_client.exists("nightly:letters:open", GROUP)
    assert [item.id for item in ledger_calls.list_letters(letters, state="closed")] == [letter.id]
    assert list(letters.groups()) == []


def test_a_letter_is_closed_once_and_an_unknown_letter_is_an_error(letter: Letter, letters: Letters) -> None:
    ledger_calls.close(letters, letter.id, "resolved", by="ann")
    with pytest.raises(LetterClosed):
        ledger_calls.close(letters, letter.id, "replayed", by="bob")
    assert letters.get(letter.id).closed_by == "ann"
    with pytest.raises(UnknownLetter):
        ledger_calls.close(letters, "dl-99", "replayed", by="bob")


@pytest.mark.parametrize("moved_on", [{"s": "done"}, {"x": "dl-7"}])
def test_a_letter_whose_login_has_changed_replays_nothing(
    letter: Letter, letters: Letters, redis_client: Redis, claim: Any, moved_on: dict[str, str]
) -> None:
    redis_client.hset(LOGIN, mapping=moved_on)
    assert ledger_calls.close(letters, letter.id, "replayed", by="ann") == "superseded"
    assert letters.get(letter.id).status == "superseded"
    assert claim().state == "idle"
    assert redis_client.hget(LOGIN, "x") == (b"dl-7" if "x" in moved_on else None), "another letter stays"


def test_closed_letters_leave_the_list_after_90_days(
    letter: Letter, letters: Letters, ledger: Ledger, redis_client: Redis, clock: Clock
) -> None:
    ledger_calls.close(letters, letter.id, "resolved", by="ann")
    park(letters)
    clock.ms += 90 * DAY_MS - 1
    ledger_calls.close(letters, "ev-1", "resolved", by="ann")
    ledger.pulse({}, worker="w", slots=1)
    assert redis_client.zcard("nightly:letters:closed") == 2
    clock.ms += 1
    redis_client.delete("nightly:tidied")
    ledger.pulse({}, worker="w", slots=1)
    assert redis_client.zrange("nightly:letters:closed", 0, -1) == [b"ev-1"]
