"""Reads dead letters by a filter: a page, all ids, or their number; newest first, in bounded memory.

A page is read by find_letters.lua, which examines a bounded number of letters in each call, so that Redis serves the
workers in between.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.errors import InvalidFilter, Unreadable
from worker.ledger.dead_letters import Letter, parts_of, read_letter
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.scripts import Scripts
from worker.ledger.stored_hash import Hash, OnUnreadable, raise_it, read_hashes, readable, unless_wrong_type
from worker.redis_client.connect import BytesRedis

READ_AT_ONCE = 1000
"""Letters that one call examines: a few milliseconds in which Redis serves nobody else."""
CALLS_A_PAGE = 5
IDS_AT_ONCE = 500
_CURSOR = re.compile(r"(\d{1,15})\.([a-z]{1,8}-[A-Za-z0-9_-]{1,80})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some letters that match a filter, newest first."""

    letters: list[Letter]
    next: str | None
    """Give it to `LetterPages.page` as `after` to go on; None: no letter is left."""
    searched: int
    """Letters that were examined for this page."""
    is_complete: bool
    """False: the search stopped before the page was full, and `next` goes on searching."""
    unreadable: Sequence[Unreadable] = ()
    """Letters that a person damaged in Redis, so that it is not known whether they match."""


class LetterPages:
    """The dead letters behind one Redis client, by filter.

    Letters have a total order: by the time of filing (of closed ones: of closing), then by id. A place in it stays
    valid while letters come and go: what stays open is neither repeated nor left out.
    """

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.redis = client
        self._scripts = Scripts(client)
        self._now_ms = now_ms

    def page(self, wanted: LetterFilter, *, after: str | None = None, size: int = 50) -> LetterPage:
        """Return up to `size` letters from the place `after` on; raises InvalidFilter if that is no such place."""
        raw: list[Any] = []
        place, searched, is_end = read_place(after), 0, False
        for _ in range(CALLS_A_PAGE):
            is_end, place, read, found = self._find(wanted, "letters", place, size - len(raw))
            raw += found
            searched += read
            if is_end or len(raw) >= size:
                break
        unreadable: list[Unreadable] = []
        letters = list(readable(read_letter, *_ids_and_hashes(raw), unreadable.append))
        following = None if is_end else ".".join(place)
        return LetterPage(letters, following, searched, is_end or len(raw) >= size, unreadable)

    def ids(self, wanted: LetterFilter) -> Iterator[str]:
        """Yield the id of every matching letter once, newest first, and without those filed meanwhile."""
        place, is_end = ("", ""), False
        while not is_end:
            is_end, place, _, found = self._find(wanted, "ids", place, IDS_AT_ONCE)
            yield from map(_text, found)

    def letters(self, wanted: LetterFilter, *, on_unreadable: OnUnreadable = raise_it) -> Iterator[Letter]:
        """Yield every matching letter once, newest first, and without those filed meanwhile."""
        after, is_first = None, True
        while is_first or after:
            page = self.page(wanted, after=after, size=IDS_AT_ONCE)
            yield from page.letters
            for error in page.unreadable:
                on_unreadable(error)
            after, is_first = page.next, False

    def of_login(self, reference: str, *, on_unreadable: OnUnreadable = raise_it) -> list[Letter]:
        """Return the last 20 letters of a login that have not expired, newest first."""
        ids = [_text(raw) for raw in reversed(self.redis.lrange(f"nightly:filed:{reference}", 0, -1))]
        hashes = read_hashes(self.redis, (f"nightly:letter:{letter_id}" for letter_id in ids))
        return list(readable(read_letter, ids, hashes, on_unreadable))

    def count(self, wanted: LetterFilter) -> int:
        """Return the number of matching letters."""
        return self.count_up_to(wanted, read_at_most=None)[0]

    def count_up_to(self, wanted: LetterFilter, *, read_at_most: int | None = 10_000) -> tuple[int, bool]:
        """Return a number of matching letters, and whether it is all of them: it stops after so many were examined.

        Whole groups are counted without examining letters.
        """
        if wanted.state == "open" and _names_only_groups(wanted):
            snoozed, is_all = self._counted(replace(wanted, state="snoozed"), read_at_most)
            if not is_all:
                snoozed = self.redis.zcard("nightly:letters:snoozed")  # all of them: the rest is a lower bound
            return max(0, self._open_in_groups(wanted) - snoozed), is_all
        return self._counted(wanted, read_at_most)

    def _counted(self, wanted: LetterFilter, read_at_most: int | None) -> tuple[int, bool]:
        place, is_end, count, total = ("", ""), False, 0, 0
        while not is_end and (read_at_most is None or total < read_at_most):
            is_end, place, read, found = self._find(wanted, "ids", place, READ_AT_ONCE)
            count, total = count + len(found), total + read
        return count, is_end

    def _open_in_groups(self, wanted: LetterFilter) -> int:
        lowest = wanted.filed_after or "-inf"
        highest = "+inf" if wanted.filed_before is None else f"({wanted.filed_before}"
        groups = (raw for raw in self.redis.smembers("nightly:groups") if _is_of(wanted, raw))
        pipeline = self.redis.pipeline(transaction=False)
        for raw in groups:
            pipeline.zcount(b"nightly:group:" + raw, lowest, highest)
        return sum(unless_wrong_type(count) or 0 for count in pipeline.execute(raise_on_error=False))

    def _find(self, wanted: LetterFilter, what: str, place: tuple[str, str], at_most: int) -> Any:
        now = self._now_ms() if self._now_ms else ""
        limits = at_most, READ_AT_ONCE
        reply = self._scripts.run("find_letters", now, what, *limits, *place, wanted.to_json())
        is_end, at, letter_id, read, found = reply
        return bool(is_end), (at.decode(), _text(letter_id)), int(read), found


def read_place(text: str | None) -> tuple[str, str]:
    """Return the time and the id in a place of `LetterPage.next`; raises InvalidFilter."""
    if not text:
        return "", ""
    found = _CURSOR.fullmatch(text)
    if not found:
        raise InvalidFilter("the place in the list is not valid: begin at the first page")
    return found[1], found[2]


def _names_only_groups(wanted: LetterFilter) -> bool:
    of_group = LetterFilter(
        instance=wanted.instance,
        code=wanted.code,
        wish=wanted.wish,
        filed_after=wanted.filed_after,
        filed_before=wanted.filed_before,
    )
    return wanted == of_group


def _ids_and_hashes(found: Sequence[Sequence[Any]]) -> tuple[list[str], list[Hash | None]]:
    """Return letters as find_letters.lua found them: their ids, and the fields of each that is a hash."""
    flat = [fields[0] if fields else None for _, *fields in found]
    hashes: list[Hash | None] = [
        None if each is None else dict(zip(each[::2], each[1::2], strict=True)) for each in flat
    ]
    return [_text(letter_id) for letter_id, *_ in found], hashes


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _is_of(wanted: LetterFilter, group: bytes) -> bool:
    instance, code, wish = parts_of(group)
    pairs = (wanted.instance, instance), (wanted.code, code), (wanted.wish, wish or "none")
    return all(given in {None, value} for given, value in pairs)
