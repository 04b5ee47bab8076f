"""Dead letters by a filter, a page at a time: none twice, none left out, whatever comes and closes meanwhile."""

from itertools import count
from random import Random
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock
from tests.integration.ledger.many_letters import assign, file_letter, file_letters, snooze
from tests.integration.ledger.rejected import park
from tests.ledger_calls import close
from worker.errors import InvalidFilter
from worker.ledger import Letters, letter_queries
from worker.ledger.letter_filter import NOBODY, LetterFilter
from worker.ledger.letter_queries import LetterPages

HOUR_MS = 3_600_000


@pytest.fixture
def pages(redis_client: Redis, clock: Clock) -> LetterPages:
    return LetterPages(redis_client, now_ms=clock)


def ids(pages: LetterPages, **wanted: Any) -> list[str]:
    return list(pages.ids(LetterFilter(**wanted)))


def turn(pages: LetterPages, wanted: LetterFilter, size: int) -> list[str]:
    """Read page after page to the end."""
    found, after = [], None
    for _ in range(1000):
        page = pages.page(wanted, after=after, size=size)
        found += [letter.id for letter in page.letters]
        after = page.next
        if after is None:
            return found
    raise AssertionError("the pages have no end")


def test_pages_go_from_the_newest_letter_to_the_oldest(redis_client: Redis, pages: LetterPages) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at, "code": f"C{at % 3}"} for at in range(1, 10)))
    newest_first = [f"dl-{at}" for at in range(9, 0, -1)]
    assert turn(pages, LetterFilter(), 4) == turn(pages, LetterFilter(instance="toolbox"), 1) == newest_first
    assert turn(pages, LetterFilter(code="C1"), 2) == ["dl-7", "dl-4", "dl-1"]
    assert turn(pages, LetterFilter(code="C7"), 2) == []


@pytest.mark.parametrize("wanted", [LetterFilter(), LetterFilter(instance="toolbox"), LetterFilter(wish="on")])
@pytest.mark.parametrize("seed", range(3))
def test_letters_that_come_and_close_between_pages_change_nothing_for_the_others(
    redis_client: Redis, clock: Clock, pages: LetterPages, seed: int, wanted: LetterFilter
) -> None:
    """Hundreds share a millisecond, as one settlement files them, and the letter of the cursor itself may close."""
    chance, letters, numbers = Random(seed), Letters(redis_client, now_ms=clock), count(1000)
    moments = [clock.ms - 3, clock.ms - 2, clock.ms - 1]
    codes = [f"C{at}" for at in range(5)]
    first = [f"dl-{at}" for at in range(300)]
    file_letters(
        redis_client,
        ({"id": each, "created_at": chance.choice(moments), "code": chance.choice(codes)} for each in first),
    )
    is_open, seen, after = set(first), list[str](), None
    while True:
        page = pages.page(wanted, after=after, size=chance.randint(1, 40))
        seen += [letter.id for letter in page.letters]
        if page.next is None:
            break
        after = page.next
        closing = {*chance.sample(sorted(is_open), 5), *(seen[-1:] if chance.random() < 0.5 else ())}
        for letter_id in sorted(closing & is_open):
            close(letters, letter_id, "resolved", by="ann")
        is_open -= closing
        file_letter(redis_client, f"dl-{next(numbers)}", chance.choice([*moments, clock.ms]), code=chance.choice(codes))
    assert len(seen) == len(set(seen))
    assert is_open <= set(seen), f"seed {seed} left some out"


def test_a_search_that_finds_little_stops_and_goes_on(
    redis_client: Redis, pages: LetterPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_queries, "READ_AT_ONCE", 4)
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at, "failures": at % 50} for at in range(1, 101)))
    wanted = LetterFilter(attempts_at_least=49)
    page = pages.page(wanted)
    assert ([letter.id for letter in page.letters], page.searched, page.is_complete) == (["dl-99"], 20, False)
    assert turn(pages, wanted, 50) == ids(pages, attempts_at_least=49) == ["dl-99", "dl-49"]
    assert pages.count(wanted) == 2
    assert pages.count_up_to(wanted, read_at_most=20) == (1, False)
    for at in range(1, 11):
        snooze(redis_client, f"dl-{at}", 2_000_000_000_000)
    assert pages.count_up_to(LetterFilter(code="INVALID_LOGIN", filed_before=90), read_at_most=4) == (79, False)
    assert pages.count_up_to(LetterFilter(code="INVALID_LOGIN", filed_before=90)) == (79, True)


def test_each_field_of_the_filter_selects_letters(redis_client: Redis, clock: Clock, pages: LetterPages) -> None:
    at = clock.ms - 9 * HOUR_MS
    file_letter(redis_client, "dl-1", at, wish="off", instance="acme")
    file_letter(redis_client, "dl-2", at + 1, backfill="bf-aaaaaaaaaa", failures=7)
    file_letter(redis_client, "dl-3", clock.ms, suspect="storm-1", login="lgn_newer")
    redis_client.hset("nightly:login:lgn_newer", mapping={"w": "2:1:1:toolbox"})
    assign(redis_client, "dl-2", "ann")
    assert ids(pages, instance="acme") == ids(pages, wish="off") == ["dl-1"]
    assert ids(pages, source="live") == ["dl-3", "dl-1"]
    assert ids(pages, source="backfill") == ids(pages, source="bf-aaaaaaaaaa") == ["dl-2"]
    assert ids(pages, filed_after=clock.ms - HOUR_MS) == ids(pages, only_suspects=True) == ["dl-3"]
    assert ids(pages, filed_before=at + 1) == ["dl-1"]
    assert ids(pages, attempts_at_least=7) == ids(pages, owner="ann") == ["dl-2"]
    assert ids(pages, owner=NOBODY) == ["dl-3", "dl-1"]
    assert ids(pages, newer_event=True) == ["dl-3"]
    assert ids(pages, owner="ann", code="INVALID_LOGIN", wish="on", source="backfill") == ["dl-2"]
    assert ids(pages, owner="ann", wish="off") == []


def test_a_snoozed_letter_is_hidden_until_its_time(redis_client: Redis, clock: Clock, pages: LetterPages) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms} for at in (1, 2)))
    snooze(redis_client, "dl-1", clock.ms + HOUR_MS)
    assert (ids(pages), ids(pages, state="snoozed")) == (["dl-2"], ["dl-1"])
    assert (pages.count(LetterFilter()), pages.count(LetterFilter(state="snoozed"))) == (1, 1)
    clock.ms += HOUR_MS
    assert (ids(pages), ids(pages, state="snoozed")) == (["dl-2", "dl-1"], [])
    assert pages.count(LetterFilter(code="INVALID_LOGIN")) == 2
    snooze(redis_client, "dl-2", 0)
    assert ids(pages) == ["dl-2", "dl-1"]


def test_closed_letters_are_found_by_their_state(redis_client: Redis, clock: Clock, pages: LetterPages) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms} for at in (1, 2, 3, 4)))
    letters = Letters(redis_client, now_ms=clock)
    close(letters, "dl-4", "replayed", by="ann")
    for letter_id, owner in (("dl-1", "ann"), ("dl-2", "")):
        assign(redis_client, letter_id, owner)
        snooze(redis_client, letter_id, clock.ms + HOUR_MS)
        clock.ms += 1
        close(letters, letter_id, "resolved", by="ann")
    assert ids(pages, state="closed") == ["dl-2", "dl-1", "dl-4"]
    assert (ids(pages, state="resolved"), ids(pages, state="replayed")) == (["dl-2", "dl-1"], ["dl-4"])
    assert ids(pages, state="superseded") == ids(pages, state="corrected") == []
    assert ids(pages, state="any") == ["dl-2", "dl-1", "dl-4", "dl-3"]
    assert ids(pages, state="closed", owner="ann") == ["dl-1"]
    assert ids(pages) == ["dl-3"]
    assert not redis_client.exists("nightly:owned:ann", "nightly:letters:snoozed")
    redis_client.delete("nightly:letter:dl-1")
    assert ids(pages, state="closed") == ["dl-2", "dl-4"]


def test_closed_letters_are_chosen_by_the_time_of_their_filing(
    redis_client: Redis, clock: Clock, pages: LetterPages
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms + at, "wish": "off"} for at in (1, 2, 3)))
    letters = Letters(redis_client, now_ms=clock)
    clock.ms += HOUR_MS
    for letter_id in ("dl-3", "dl-1", "dl-2"):
        clock.ms += 1
        close(letters, letter_id, "resolved", by="ann")
    first = clock.ms - HOUR_MS - 3
    assert ids(pages, state="closed", filed_before=first + 3) == ["dl-2", "dl-1"]
    assert ids(pages, state="any", filed_after=first + 2) == ["dl-2", "dl-3"]
    assert ids(pages, state="closed", wish="off") == ["dl-2", "dl-1", "dl-3"]
    assert ids(pages, state="closed", wish="on") == ids(pages, state="any", code="C1") == []
    assert pages.count(LetterFilter(state="closed")) == 3


def test_messages_are_chosen_by_having_no_wish(redis_client: Redis, clock: Clock, pages: LetterPages) -> None:
    park(Letters(redis_client, now_ms=clock))
    file_letter(redis_client, "dl-1", clock.ms)
    assert ids(pages, wish="none") == ["ev-1"]
    assert ids(pages, newer_event=True) == ids(pages, wish="none", source="backfill") == []
    assert pages.count(LetterFilter.of_group("", "invalid_event", "")) == 1


def test_letters_filed_during_a_count_by_groups_are_counted_exactly(redis_client: Redis, pages: LetterPages) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at, "code": f"C{at % 3}"} for at in range(1, 100)))
    assert pages.count(LetterFilter()) == 99
    assert pages.count(LetterFilter(code="C2", filed_after=10, filed_before=20)) == len([11, 14, 17])
    assert pages.count(LetterFilter.of_group("toolbox", "C0", "on")) == 33


@pytest.mark.parametrize("owner", ["Zoë 😀", 'a"b\\c', "a|b:c\x00\nd", "x" * 200])
def test_any_name_may_own_letters(redis_client: Redis, clock: Clock, pages: LetterPages, owner: str) -> None:
    file_letter(redis_client, "dl-1", clock.ms)
    assign(redis_client, "dl-1", owner)
    wanted = LetterFilter.from_query(LetterFilter(owner=owner).to_query())
    assert [letter.owner for letter in pages.page(wanted).letters] == [owner]
    assign(redis_client, "dl-1", "")
    assert pages.page(wanted).letters == []


@pytest.mark.parametrize("place", ["x", "1.dl-1'", "-1.dl-1", "1.dl-1\n", "1", ".", "9" * 99 + ".dl-1", "\u0663.dl-1"])
def test_a_place_that_no_page_named_is_refused(pages: LetterPages, place: str) -> None:
    with pytest.raises(InvalidFilter, match="begin at the first page"):
        pages.page(LetterFilter(), after=place)
