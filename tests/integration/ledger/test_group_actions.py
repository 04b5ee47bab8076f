"""People acknowledge, mute, reopen and assign groups of dead letters; each is one entry in the audit log."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_all, wishes
from tests.integration.ledger.rejected import park
from tests.ledger_calls import close, list_letters
from tests.people import ANN, BOB
from worker.errors import InvalidAction, OutOfDate, UnknownGroup
from worker.ledger import Ledger, Letters
from worker.ledger.audit import AuditLog
from worker.ledger.group_views import GroupView, GroupViews
from worker.operations.group_actions import MUTED_AT_MOST_MS, GroupActions, GroupName

GROUP = GroupName("", "invalid_event", "")
HOUR_MS = 3_600_000


@pytest.fixture
def actions(redis_client: Redis, clock: Clock) -> GroupActions:
    return GroupActions(redis_client, now_ms=clock)


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


def view(actions: GroupActions, clock: Clock) -> GroupView:
    (found,) = GroupViews(actions._redis, now_ms=clock).read()
    assert found.name == str(GROUP)
    return found


def resolve_all(letters: Letters) -> None:
    for letter in list_letters(letters):
        close(letters, letter.id, "resolved", by="ann")


def test_each_action_is_an_entry_and_shows_in_the_group(
    actions: GroupActions, letters: Letters, clock: Clock, redis_client: Redis
) -> None:
    park(letters)
    actions.acknowledge(GROUP, by=ANN, letters=1, version=0)
    assert (view(actions, clock).state, view(actions, clock).changed_by) == ("acknowledged", "ann")
    actions.mute(GROUP, clock.ms + HOUR_MS, by=BOB, note="until the producer is repaired")
    assert (view(actions, clock).state, view(actions, clock).muted_until) == ("muted", clock.ms + HOUR_MS)
    actions.assign(GROUP, " carol ", by=ANN)
    assert (view(actions, clock).state, view(actions, clock).owner) == ("muted", "carol")
    actions.reopen(GROUP, by=ANN)
    actions.assign(GROUP, "", by=ANN)
    assert (view(actions, clock).state, view(actions, clock).owner) == ("open", "")
    entries = AuditLog(redis_client).entries(target="|invalid_event|")
    assert [(each.by, each.action, dict(each.detail), each.why) for each in reversed(entries)] == [
        ("ann", "group.acknowledge", {"letters": 1}, ""),
        ("bob", "group.mute", {"until": clock.ms + HOUR_MS}, "until the producer is repaired"),
        ("ann", "group.assign", {"owner": "carol"}, ""),
        ("ann", "group.reopen", {}, ""),
        ("ann", "group.assign", {"owner": ""}, ""),
    ]


def test_an_acknowledgement_ends_when_the_group_grows_and_when_it_is_empty(
    actions: GroupActions, letters: Letters, clock: Clock
) -> None:
    park(letters)
    actions.acknowledge(GROUP, by=ANN)
    park(letters, letter_id="ev-2")
    assert view(actions, clock).state == "open"
    actions.acknowledge(GROUP, by=ANN)
    resolve_all(letters)
    assert park(letters, letter_id="ev-3"), "the next letter is news again"
    assert view(actions, clock).state == "open"


def test_a_muted_group_is_no_news_until_its_time(actions: GroupActions, letters: Letters, clock: Clock) -> None:
    assert park(letters)
    actions.mute(GROUP, clock.ms + HOUR_MS, by=ANN)
    resolve_all(letters)
    assert not park(letters, letter_id="ev-2")
    assert view(actions, clock).state == "muted"
    resolve_all(letters)
    clock.ms += HOUR_MS
    assert park(letters, letter_id="ev-3")
    assert view(actions, clock).state == "open"


def test_a_muted_group_of_logins_gives_no_notice(
    actions: GroupActions, ledger: Ledger, letters: Letters, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    first, second = claim_all(clock, claim, 2, lease_seconds=60)
    settle(first, "dead", code="DISABLED_LOGIN")
    actions.mute(GroupName(INSTANCE, "DISABLED_LOGIN", "on"), clock.ms + HOUR_MS, by=ANN)
    resolve_all(letters)
    redis_client.delete("nightly:notices")
    settle(second, "dead", code="DISABLED_LOGIN")
    clock.ms += 60_000
    assert ledger.pulse({}, worker="a", slots=1).notices == ()


def test_the_state_of_a_group_ends_some_time_after_its_last_letter(
    actions: GroupActions, letters: Letters, clock: Clock, redis_client: Redis
) -> None:
    key = f"nightly:group-state:{GROUP}"
    park(letters)
    actions.assign(GROUP, "carol", by=ANN)
    assert redis_client.pttl(key) == -1
    resolve_all(letters)
    assert MUTED_AT_MOST_MS - HOUR_MS < redis_client.pttl(key) <= MUTED_AT_MOST_MS
    park(letters, letter_id="ev-2")
    assert redis_client.pttl(key) == -1
    assert view(actions, clock).owner == "carol"


def test_what_a_person_did_not_see_is_not_acknowledged(actions: GroupActions, letters: Letters, clock: Clock) -> None:
    park(letters)
    park(letters, letter_id="ev-2")
    with pytest.raises(OutOfDate, match=r"more letters than when you looked at it\. Nothing was done"):
        actions.acknowledge(GROUP, by=ANN, letters=1)
    actions.mute(GROUP, clock.ms + HOUR_MS, by=BOB)
    with pytest.raises(OutOfDate, match="was changed by bob"):
        actions.reopen(GROUP, by=ANN, version=0)
    assert view(actions, clock).state == "muted"
    actions.reopen(GROUP, by=ANN, version=view(actions, clock).changed_at)


def test_a_refused_action_changes_nothing(
    actions: GroupActions, letters: Letters, clock: Clock, redis_client: Redis
) -> None:
    with pytest.raises(UnknownGroup, match="invalid_event has no open dead letter"):
        actions.assign(GROUP, "carol", by=ANN)
    park(letters)
    for until in (clock.ms, clock.ms + MUTED_AT_MOST_MS + 1):
        with pytest.raises(InvalidAction, match="within the next 90 days"):
            actions.mute(GROUP, until, by=ANN)
    with pytest.raises(InvalidAction, match="longer than 200 characters"):
        actions.assign(GROUP, "x" * 201, by=ANN)
    assert (view(actions, clock).changed_at, AuditLog(redis_client).head().number) == (None, 0)


def test_a_name_may_be_copied_with_odd_spaces(actions: GroupActions, letters: Letters, clock: Clock) -> None:
    park(letters)
    actions.assign(GROUP, "\u00a0Zoë\u00a0 O\u2019Neil\x00 ", by=ANN)
    assert view(actions, clock).owner == "Zoë O\u2019Neil?"


def test_no_login_id_is_stored_as_an_owner(
    actions: GroupActions, letters: Letters, clock: Clock, redis_client: Redis
) -> None:
    park(letters)
    login_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    actions.assign(GROUP, f"whoever has {login_id}", by=ANN)
    assert view(actions, clock).owner == "whoever has [masked]"
    (entry,) = AuditLog(redis_client).entries()
    assert login_id not in entry.text
