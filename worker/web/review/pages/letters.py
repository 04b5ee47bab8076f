"""`/letters`: dead letters by filter, page by page, and the search."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worker.ledger.letter_filter import NOBODY, STATES, LetterFilter
from worker.operations.advice import KNOWN_CODES
from worker.operations.search import Found
from worker.web.review.flash import flash
from worker.web.review.parts import Parts
from worker.web.review.redirects import back
from worker.web.review.rendering import render, utc, utc_input
from worker.web.review.requests import parts_of, text_of

SIZE = 50
DAY_MS = 86_400_000
SEARCH_SECONDS = 5.0
COUNTED_AT_MOST = 2_000
"""Letters that are examined to count the matches of a filter."""
_NAMES = {
    "instance": "instance",
    "code": "code",
    "wish": "wish",
    "source": "source",
    "filed_after": "filed after",
    "filed_before": "filed before",
    "attempts_at_least": "attempts at least",
    "owner": "owner",
    "state": "state",
    "newer_event": "a newer event came",
    "only_suspects": "suspect of a storm",
}
_FLAGS = {"newer_event", "only_suspects"}
_WISHES = (("", "any"), ("on", "on"), ("off", "off"), ("none", "none: rejected message"))
_STATES = tuple((name, {"open": "open, not snoozed", "any": "any: open and closed"}.get(name, name)) for name in STATES)


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter, and the address of the list without it."""

    text: str
    without: str


def show(request: Request) -> Response:
    """Show one page of the letters that match the filter in the address."""
    parts = parts_of(request)
    now_ms = parts.views.now_ms()
    wanted = LetterFilter.from_query(request.query_params, now_ms=now_ms)
    after = request.query_params.get("after")
    page = parts.letter_pages.page(wanted, after=after, size=SIZE)
    count, is_all = 0, False  # a count would examine the same letters as the unfinished search
    if page.is_complete:
        count, is_all = parts.letter_pages.count_up_to(wanted, read_at_most=COUNTED_AT_MOST)
    query = wanted.to_query()
    return render(
        request,
        "letters.html",
        now_ms=now_ms,
        page=page,
        query=query,
        chips=list(_chips(wanted)),
        count_text=_count_text(count, is_all=is_all),
        total_text=f"{count:,}" if is_all else "letters",
        first_href=address(query) if after else "",
        next_href=address({**query, "after": page.next}) if page.next else "",
        next_day=utc_input(now_ms + DAY_MS),
        is_open_list=wanted.state in {"open", "snoozed"},
        **_choices(parts, wanted),
    )


def search(request: Request) -> Response:
    """Go to what has the id that was searched for; list several. The text may be a loginId: it is not shown again."""
    text, after = text_of(request, "text"), text_of(request, "after") or None
    if not text:
        flash(request, "Type an id to search for.", "wrong")
        return back(request, "/letters")
    parts = parts_of(request)
    results = parts.search.find(text, seconds=SEARCH_SECONDS, after=after)
    if len(results.found) == 1 and not results.next:
        return RedirectResponse(_address_of(results.found[0], text), status_code=HTTPStatus.SEE_OTHER)
    now_ms, has_keys = parts.views.now_ms(), parts.vault is not None
    return render(request, "search.html", now_ms=now_ms, results=results, has_keys=has_keys, seconds=SEARCH_SECONDS)


def _address_of(found: Found, text: str) -> str:
    letter_id = found.letter.id if found.letter else found.login["dead_letter"] if found.login else ""
    if letter_id and (found.letter or text == letter_id):
        return f"/letters/{quote(letter_id, safe='')}"
    return f"/logins/{found.login['login']}" if found.login else f"/bulk/{quote(found.job, safe='')}"


def address(query: dict[str, str]) -> str:
    """Return the address of the list with these filters."""
    return f"/letters?{urlencode(query)}" if query else "/letters"


def _choices(parts: Parts, wanted: LetterFilter) -> dict[str, Any]:
    groups = parts.letters.groups()
    instances = sorted({group.instance for group in groups if group.instance} | {wanted.instance or ""} - {""})
    return {
        "codes": sorted({group.code for group in groups} | KNOWN_CODES),
        "instances": [("", "any"), *((name, name) for name in instances)],
        "wishes": _WISHES,
        "states": _STATES,
        "nobody": NOBODY,
    }


def _chips(wanted: LetterFilter) -> Iterator[Chip]:
    query = wanted.to_query()
    for name, value in query.items():
        text = _NAMES[name] if name in _FLAGS else f"{_NAMES[name]}: {_shown(wanted, name, value)}"
        yield Chip(text, address({key: other for key, other in query.items() if key != name}))


def _shown(wanted: LetterFilter, name: str, value: str) -> str:
    at_ms = {"filed_after": wanted.filed_after, "filed_before": wanted.filed_before}.get(name)
    if at_ms is not None:
        return f"{utc(at_ms)} UTC"
    return "nobody" if name == "owner" and value == NOBODY else value


def _count_text(count: int, *, is_all: bool) -> str:
    if not is_all:
        return f"More than {count:,} letters match" if count else "Many letters to search"
    return "No letter matches" if not count else "1 letter matches" if count == 1 else f"{count:,} letters match"
