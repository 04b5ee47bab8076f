"""Sends the events of `nightly publish` in batches, follows them with `--wait`, and prints what became of each."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import typer

from worker.cli.output import console, number, pairs, plain, print_json
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.events.preparation import Preparation
from worker.events.publisher import BATCH, send
from worker.ledger.queries import Views
from worker.operations.advice import advice_for
from worker.operations.documents import Published
from worker.operations.event_results import DONE, NOT_TAKEN_IN, EventResults, Result, SentEvent
from worker.operations.waiting_reason import waiting_reason
from worker.redis_client.connect import BytesRedis

FOLLOWED_AT_MOST = 100_000
"""Events that `--wait` follows, so that a file of any size takes bounded memory."""
LOOK_SECONDS = 0.2
REASONS_AT_MOST = 100
"""Waiting events whose reason `--json` gives, because each takes several round trips."""
LINES_NAMED = 100
"""Maximum bad lines that are printed one by one; the rest are counted."""


class BadLines:
    """Prints the number and reason of bad lines, without their content, and counts them."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.line_number = 0
        self.count = 0
        self._as_json = as_json

    def add(self, reason: str) -> None:
        """Report the line that was read last."""
        self.count += 1
        if self._as_json:
            print_json([Published(event_id=None, line=self.line_number, result="refused", reason=reason)])
        elif self.count <= LINES_NAMED:
            typer.echo(f"line {self.line_number}: {reason}", err=True)
        elif self.count == LINES_NAMED + 1:
            typer.echo("... further bad lines are only counted", err=True)


class Publication:
    """Sends events, and keeps those that `--wait` follows. `results`: None without LOGIN_KEYS."""

    def __init__(
        self, client: BytesRedis, results: EventResults | None, *, follows: bool = False, as_json: bool = False
    ) -> None:
        self._redis = client
        self._preparation = Preparation(client)
        self._results = results
        self._follows = follows
        self._as_json = as_json
        self.sent = 0
        self.sent_to_line = 0
        self.followed: list[SentEvent] = []

    def send_one(self, event: object) -> str:
        """Send one event; returns its id. Raises InvalidEvent."""
        parsed, body = self._preparation.prepare(event)
        self._send([(parsed, body, None)])
        return parsed.event_id

    def send_lines(self, events: Iterable[object], bad: BadLines) -> None:
        """Send all valid events of a file, and report the others to `bad`."""
        prepared = self._prepared(events, bad)
        while batch := list(islice(prepared, BATCH)):
            self._send(batch)
            self.sent_to_line = bad.line_number

    def _prepared(self, events: Iterable[object], bad: BadLines) -> Iterator[tuple[LifecycleEvent, bytes, int | None]]:
        for event in events:
            try:
                parsed, body = self._preparation.prepare(event)
            except InvalidEvent as error:
                bad.add(error.reason)
            else:
                yield parsed, body, bad.line_number

    def _send(self, batch: Sequence[tuple[LifecycleEvent, bytes, int | None]]) -> None:
        tracked = [self._results.event(event, body, line=line) for event, body, line in batch] if self._results else []
        room = FOLLOWED_AT_MOST - len(self.followed) if self._follows else 0
        if self._results and room:
            self._results.mark_duplicates(tracked[:room])
        entry_ids = send(self._redis, [body for _, body, _ in batch])
        for event, entry_id in zip(tracked, entry_ids, strict=False):
            event.entry_id = entry_id
        self.followed += tracked[:room]
        self.sent += len(batch)
        if self._as_json:
            logins = [event.login for event in tracked] or [""] * len(batch)
            print_json(
                Published(event_id=event.event_id, login=login, line=line, result="published")
                for (event, _, line), login in islice(zip(batch, logins, strict=True), room, None)
            )

    def follow(self, within_seconds: float) -> None:
        """Look until every followed event has its result, at most for `within_seconds`."""
        until = time.monotonic() + within_seconds
        while waiting := [event for event in self.followed if event.is_open]:
            began_at = time.monotonic()
            if self._results:
                self._results.look(waiting)
            took = time.monotonic() - began_at
            if time.monotonic() >= until:
                break
            time.sleep(min(max(LOOK_SECONDS, 4 * took), max(0.0, until - time.monotonic())))

    @property
    def is_done(self) -> bool:
        """Whether every event that was sent has ended well."""
        return len(self.followed) == self.sent and all(event.result in DONE for event in self.followed)


def print_results(publication: Publication, views: Views, *, as_json: bool) -> None:
    """Print what became of the followed events: each as JSON, one with its reason, or the counts of several."""
    events = publication.followed
    if as_json:
        waiting = islice((event for event in events if event.result is Result.WAITING), REASONS_AT_MOST)
        for event in waiting:
            event.reason = _why_waiting(event, views)
        print_json(map(_document, events))
    elif len(events) == 1 == publication.sent:
        _print_one(events[0], views)
    else:
        counts = Counter(event.result for event in events)
        rows: list[tuple[str, object]] = [
            (result.replace("_", "-"), number(counts[result])) for result in Result if counts[result]
        ]
        unfollowed = publication.sent - len(events)
        rows += [("not followed", number(unfollowed))] if unfollowed else []
        console().print(pairs(rows))
        if counts[Result.WAITING]:
            first = next(event for event in events if event.result is Result.WAITING)
            _print_line(f"Waiting, for example line {first.line}: {_why_waiting(first, views)}.")
            _print_line("Next: nightly status")
        if counts[Result.DEAD_LETTERED] or counts[Result.REJECTED]:
            _print_line("Next: nightly dead-letters groups")


def _print_one(event: SentEvent, views: Views) -> None:
    name = f"Event {plain(event.event_id)} of login {plain(event.login)}"
    match event.result:
        case Result.DEAD_LETTERED:
            _print_line(f"{name}: dead-lettered as {plain(event.reason)}. {advice_for(event.reason)}")
        case Result.REJECTED:
            _print_line(f"{name}: rejected: {plain(event.reason)}.")
        case Result.WAITING:
            _print_line(f"{name}: waiting: {_why_waiting(event, views)}.")
        case _:
            _print_line(f"{name}: {event.result}.")
    if event.dead_letter_id:
        _print_line(f"Next: nightly dead-letters show {event.dead_letter_id}")
    elif event.result not in DONE:
        _print_line("Next: nightly status" if event.reason else f"Next: nightly explain {event.login}")


def _why_waiting(event: SentEvent, views: Views) -> str:
    """Return why an event waits: no worker has taken it in, the gate, a retry, or no live worker."""
    now_ms = views.now_ms()
    workers = views.workers(now_ms)
    if event.reason:
        without = event.reason == NOT_TAKEN_IN and not workers
        return f"{event.reason}, and no worker is alive. Start: celery -A worker worker" if without else event.reason
    about = views.login(event.login)
    reason = waiting_reason(about, views.gate(about["instance"]), workers, now_ms) if about else ""
    return reason.removesuffix(".") or "its call is in progress"


def _document(event: SentEvent) -> Published:
    return Published(
        event_id=event.event_id,
        login=event.login,
        line=event.line,
        result=(event.result or Result.WAITING).value,
        reason=event.reason,
        dead_letter_id=event.dead_letter_id,
    )


def _print_line(text: str) -> None:
    console().print(text, soft_wrap=True)
