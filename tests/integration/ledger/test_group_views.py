"""Groups of dead letters: their letters by hour, and the state that people gave them."""

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock
from tests.integration.ledger.many_letters import file_letters
from tests.integration.ledger.rejected import park
from worker.ledger import Letters
from worker.ledger.group_views import GroupView, GroupViews

HOUR_MS = 3_600_000
STATE = "nightly:group-state:toolbox|INVALID_LOGIN|on"


@pytest.fixture
def views(redis_client: Redis, clock: Clock) -> GroupViews:
    return GroupViews(redis_client, now_ms=clock)


def only(views: GroupViews) -> GroupView:
    (view,) = views.read()
    return view


def test_the_letters_of_each_hour_are_counted(redis_client: Redis, clock: Clock, views: GroupViews) -> None:
    now = clock.ms
    ages = [0, 1, HOUR_MS - 1, HOUR_MS, 23 * HOUR_MS, 24 * HOUR_MS - 1, 24 * HOUR_MS, 99 * HOUR_MS]
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": now - age} for at, age in enumerate(ages)))
    view = only(views)
    assert (view.count, view.oldest_at, view.newest_at) == (8, now - 99 * HOUR_MS, now)
    assert view.by_hour == (2, *[0] * 21, 1, 3)
    assert view.new_letters == 6
    clock.ms += 24 * HOUR_MS
    assert only(views).by_hour == (0,) * 24


def test_an_acknowledged_group_opens_again_when_it_grows(redis_client: Redis, clock: Clock, views: GroupViews) -> None:
    file_letters(redis_client, [{"id": "dl-1", "created_at": clock.ms}])
    assert (only(views).state, only(views).owner) == ("open", "")
    redis_client.hset(STATE, mapping={"state": "acknowledged", "count": 1, "owner": "ann", "by": "bob", "at": clock.ms})
    view = only(views)
    assert (view.state, view.acknowledged_count, view.owner, view.changed_by) == ("acknowledged", 1, "ann", "bob")
    file_letters(redis_client, [{"id": "dl-2", "created_at": clock.ms}])
    assert (only(views).state, only(views).owner) == ("open", "ann")


def test_a_muted_group_opens_again_at_its_time(redis_client: Redis, clock: Clock, views: GroupViews) -> None:
    file_letters(redis_client, [{"id": "dl-1", "created_at": clock.ms}])
    redis_client.hset(STATE, mapping={"state": "muted", "until": clock.ms + HOUR_MS})
    assert (only(views).state, only(views).muted_until) == ("muted", clock.ms + HOUR_MS)
    clock.ms += HOUR_MS
    assert (only(views).state, only(views).muted_until) == ("open", None)


def test_groups_that_need_a_person_come_first(redis_client: Redis, clock: Clock, views: GroupViews) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms} for at in range(3)))
    redis_client.hset(STATE, mapping={"state": "muted", "until": clock.ms + HOUR_MS})
    park(Letters(redis_client, now_ms=clock))
    assert [(view.name, view.state) for view in views.read()] == [
        ("|invalid_event|", "open"),
        ("toolbox|INVALID_LOGIN|on", "muted"),
    ]
