"""`/audit`: who did what to what, why and from where, and whether the record of it is whole."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from worker.errors import LedgerError
from worker.ledger.audit import AuditLog, Deed, Entry, Head
from worker.web.review.downloads import download
from worker.web.review.rendering import render
from worker.web.review.requests import actor_of, number_in_address, parts_of

PAGE, READ_AT_ONCE, SEARCHED_AT_MOST = 50, 500, 5000
VERIFIED_AT_MOST = 20_000
"""Entries that the page verifies; the command line verifies all."""
ACTIONS = (
    "letter", "letter.replay", "letter.resolve", "letter.nothing_left", "letter.correct_login", "letter.correct_wish",
    "letter.resubmit", "letter.assign", "letter.note", "letter.snooze", "letter.reveal", "group", "group.acknowledge",
    "group.mute", "group.reopen", "group.assign", "bulk", "bulk.run", "bulk.pause", "bulk.resume", "bulk.cancel",
    "gate", "gate.open", "gate.close", "backfill", "backfill.start", "backfill.pause", "backfill.resume",
    "backfill.cancel", "backfill.reveal", "session", "session.open", "session.end", "audit.export",
)  # fmt: skip
"""Suggested in the filter; it takes every text."""
_PAGES = {"letter": "/letters/", "bulk": "/bulk/", "login": "/logins/"}


@dataclass(frozen=True, slots=True)
class Query:
    """The filter of the page; empty texts match everything."""

    target: str = ""
    by: str = ""
    action: str = ""

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry is by this person, and its action this one or one of this kind (`letter`)."""
        is_action = self.action in {"", entry.action} or entry.action.startswith(f"{self.action}.")
        return is_action and self.by in {"", entry.by}


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry in the table."""

    n: int
    at: int
    by: str
    role: str
    via: str
    address: str
    action: str
    target: str
    href: str
    why: str
    detail: str


def show(request: Request) -> Response:
    """Show entries, newest first."""
    parts = parts_of(request)
    params = request.query_params
    query = Query(*(params.get(name, "").strip() for name in ("target", "by", "action")))
    before = number_in_address(request, "before")
    found, following, is_complete = find(parts.audit, query, before)
    chosen = {name: getattr(query, name) for name in query.__slots__ if getattr(query, name)}
    head = _head(parts.audit)
    return render(
        request,
        "audit.html",
        now_ms=parts.views.now_ms(),
        query=query,
        is_filtered=bool(chosen),
        actions=ACTIONS,
        entries=[_shown(entry) for entry in found],
        is_complete=is_complete,
        next_href=f"/audit?{urlencode({**chosen, 'before': following})}" if following else "",
        first_href=f"/audit?{urlencode(chosen)}" if before is not None else "",
        head_text=_head_text(head),
        head_hash=head.grouped if head else "",
    )


def verify(request: Request) -> Response:
    """Check the chain now, and show the result."""
    parts = parts_of(request)
    result = parts.audit.verify(last=VERIFIED_AT_MOST)
    rows = [("Entries checked", f"{result.count:,}"), ("Last entry checked", f"{result.head.number:,}")]
    rows += [("Its hash", result.head.grouped)] if result.head.hash else []
    rest = " Older ones: `nightly audit-log verify`." if result.count == VERIFIED_AT_MOST else ""
    checked = f"{result.count:,} entries fit each other and the stored head.{rest}"
    return render(request, "audit_verify.html", result=result, rows=rows, checked=checked)


def export(request: Request) -> Response:
    """Send every entry as it is stored, one a line, oldest first; that, too, is an entry."""
    parts = parts_of(request)
    parts.audit.append(Deed(actor_of(request), "audit.export", "audit"))
    lines = (f"{text}\n".encode() for text in parts.audit.export())
    return download("nightly-audit.ndjson", lines, "application/x-ndjson")


def find(log: AuditLog, query: Query, before: int | None) -> tuple[list[Entry], int | None, bool]:
    """Return entries that fit, the number before which to go on (None: at the end), and whether all were searched."""
    if query.target:
        fitting = [entry for entry in log.entries(before=before, target=query.target, limit=1000) if query.fits(entry)]
        return fitting[:PAGE], (fitting[PAGE - 1].n if len(fitting) > PAGE else None), True
    found: list[Entry] = []
    last = before
    at_once = PAGE + 1 if query == Query() else READ_AT_ONCE
    for entry in islice(_newest_first(log, before, at_once), SEARCHED_AT_MOST):
        if len(found) == PAGE:
            return found, last, True
        last = entry.n
        found += [entry] if query.fits(entry) else []
    if last is None or last <= 1:
        return found, None, True
    return found, last, False


def _newest_first(log: AuditLog, before: int | None, at_once: int) -> Iterator[Entry]:
    while entries := log.entries(before=before, limit=at_once):
        yield from entries
        before = entries[-1].n


def _shown(entry: Entry) -> Shown:
    shown_already = ("", None, entry.why)
    detail = ", ".join(f"{name}: {_plain(value)}" for name, value in entry.detail.items() if value not in shown_already)
    who = entry.by, entry.role, entry.via, entry.address
    return Shown(entry.n, entry.at, *who, entry.action, entry.target, _href(entry), entry.why, detail)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _href(entry: Entry) -> str:
    kind = entry.action.partition(".")[0]
    if kind == "group" and entry.target.count("|") == 2:  # noqa: PLR2004 - instance|code|wish
        names = ("instance", "code", "wish")
        return f"/letters?{urlencode(dict(zip(names, entry.target.split('|'), strict=True)))}"
    if kind in {"gate", "backfill"}:
        return "/operations"
    if entry.target.startswith("lgn_"):
        kind = "login"
    return _PAGES[kind] + quote(entry.target, safe="") if kind in _PAGES else ""


def _head(log: AuditLog) -> Head | None:
    try:
        return log.head()
    except LedgerError:
        return None


def _head_text(head: Head | None) -> str:
    if head is None:
        return "The stored head cannot be read: somebody has changed it. Verify the log."
    if not head.number:
        return "No entry yet."
    return "1 entry." if head.number == 1 else f"{head.number:,} entries."
