"""Reads what happened to a login or a dead letter: events, attempts, letters, and what people did; newest first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from worker.errors import Unreadable
from worker.ledger.audit import AuditLog
from worker.ledger.audit_entries import Entry
from worker.ledger.dead_letters import Letter
from worker.ledger.history import read_history
from worker.ledger.letter_queries import LetterPages
from worker.ledger.queries import Views
from worker.operations.timeline_items import (
    CLOSING,
    TimelineItem,
    item_of_closing,
    item_of_confirmation,
    item_of_entry,
    item_of_filing,
    item_of_line,
    item_of_wish,
)
from worker.redis_client.connect import BytesRedis

ENTRIES_AT_MOST = 100
LETTERS_WITH_ENTRIES = 5
"""The newest letters of a login whose entries are read: an action that changes no login names only its letter."""


class Timeline:
    """The timelines behind one Redis client. A login without trouble has no history, so little is known of it."""

    def __init__(self, client: BytesRedis) -> None:
        self.redis = client
        self._audit = AuditLog(client)
        self._pages = LetterPages(client)

    def of_login(self, reference: str, *, with_addresses: bool) -> list[TimelineItem]:
        """Return the last events, attempts and letters of a login, and what people did about them.

        `with_addresses`: with the network address of each person.
        """
        letters = self._pages.of_login(reference, on_unreadable=_leave_out)
        entries = self._entries(reference, *(letter.id for letter in letters[:LETTERS_WITH_ENTRIES]))
        history, login = read_history(self.redis, reference), Views(self.redis).login(reference) or {}
        items = [*_of_letters(letters, entries, history), *_of_history(history, entries)]
        items += [item_of_entry(entry, with_address=with_addresses) for entry in entries]
        items += _of_wishes(history, letters, login)
        is_noted = any(line.get("outcome") == "applied" for line in history)  # a success after a failure always is
        if login.get("confirmed_at") is not None and not is_noted:
            items.append(item_of_confirmation(login))
        return _newest_first(items)

    def of_letter(self, letter: Letter, *, with_addresses: bool) -> list[TimelineItem]:
        """Return the timeline of a letter's login; of a rejected message, its own."""
        if letter.login:
            return self.of_login(letter.login, with_addresses=with_addresses)
        entries = self._entries(letter.id)
        actions = [item_of_entry(entry, with_address=with_addresses) for entry in entries]
        return _newest_first([*_of_letters([letter], entries, ()), *actions])

    def _entries(self, *targets: str) -> list[Entry]:
        """Return the entries about any of these, each once."""
        found = (entry for target in targets for entry in self._audit.entries(target=target, limit=ENTRIES_AT_MOST))
        return list({entry.n: entry for entry in found}.values())


def _leave_out(_: Unreadable) -> None:
    """Leave a damaged letter out: the page of the login says what is wrong with it."""


def _of_history(history: Iterable[Mapping[str, Any]], entries: Iterable[Entry]) -> Iterator[TimelineItem]:
    """Yield the lines of the history, without the actions that the audit log tells in full."""
    known, before = {entry.n for entry in entries}, None
    for line in history:
        if line["kind"] != "action" or line.get("entry") not in known:
            yield item_of_line(line, before)
        before = line if line["kind"] == "attempt" else before


def _of_wishes(
    history: Iterable[Mapping[str, Any]], letters: Iterable[Letter], login: Mapping[str, Any]
) -> Iterator[TimelineItem]:
    """Yield the events of the letters and the newest one, where the history does not have them."""
    known = {line.get("event_id") for line in history if line["kind"] == "event"}
    events = {letter.event_id: item_of_wish(letter.event_id, letter.wish, letter.occurred_us) for letter in letters}
    if login:
        events[login["event_id"]] = item_of_wish(login["event_id"], login["wish"], login["occurred_us"])
    return (item for event_id, item in events.items() if event_id and event_id not in known)


def _of_letters(
    letters: Iterable[Letter], entries: Iterable[Entry], history: Iterable[Mapping[str, Any]]
) -> Iterator[TimelineItem]:
    """Yield the filing of each letter, and its closing unless the audit log or the history tells who closed it."""
    done = {(entry.target, entry.action.removeprefix("letter.")) for entry in entries}
    done |= {(line.get("letter", ""), line.get("action", "")) for line in history if line["kind"] == "action"}
    for letter in letters:
        yield item_of_filing(letter)
        if letter.closed_at and not {(letter.id, verb) for verb in CLOSING.get(letter.status, ())} & done:
            yield item_of_closing(letter)


def _newest_first(items: Sequence[TimelineItem]) -> list[TimelineItem]:
    """Sort by time. What happened in one millisecond stays in its order: a call before the letter that it made."""
    order = {"event": 0, "attempt": 1, "confirmed": 2, "letter": 3, "action": 4}
    return sorted(items, key=lambda item: (item.at_ms, order[item.kind]), reverse=True)
