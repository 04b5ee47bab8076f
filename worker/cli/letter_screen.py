"""Shows one dead letter as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from worker.cli.login_story import history_lines
from worker.cli.output import BAD, COMMAND, NAME, ago, number, pairs, paragraph, plain, when, whole
from worker.ledger.dead_letters import Letter
from worker.operations.advice import advice_for


def picture(letter: Letter, history: Sequence[dict[str, Any]], now_ms: int, *, replay: str = "") -> RenderableType:
    """Return one letter as text, with the next commands. `replay`: what a replay would do now."""
    title = Text.assemble((letter.id, NAME), "  ", (plain(letter.code), BAD), f"  {letter.status}")
    rows = _login_rows(letter) if letter.kind == "login" else _message_rows(letter)
    filed = f"{when(letter.created_at)} UTC, {ago(letter.created_at, now_ms)}"
    rows += [("suspect", "one of a run of refusals: the customer id was probably wrong")] if letter.suspect else []
    rows += [("filed", filed), *_closing_rows(letter)]
    parts: list[RenderableType] = [title, pairs(rows)]
    if history:
        parts += ["", history_lines(history)]
    if letter.status == "open":
        parts += ["", paragraph(f"A replay: {replay}")] if replay else []
        parts += ["", paragraph(advice_for(letter.code)), Text(f"  nightly dead-letters replay {letter.id}", COMMAND)]
        parts.append(Text(f'  nightly dead-letters resolve {letter.id} --note "why"', COMMAND))
    return Group(*parts)


def _login_rows(letter: Letter) -> list[tuple[str, object]]:
    answer = f"HTTP {letter.http_status}" if letter.http_status else "no answer"
    return [
        ("login", whole(f"{letter.login} on {letter.instance}")),
        ("account", whole(letter.account_id)),
        ("wish", f"{letter.wish} since {when(letter.occurred_us / 1000)} UTC"),
        ("by event", whole(f"{letter.event_id} (revision {letter.revision}, {letter.lane} lane)")),
        ("answer", f"{answer}: {letter.message}" if letter.message else answer),
        ("attempts", f"{letter.failures}; first failure {when(letter.first_at)}, last {when(letter.last_at)} UTC"),
    ]


def _message_rows(letter: Letter) -> list[tuple[str, object]]:
    return [
        ("rejected", letter.reason),
        *([("event", whole(letter.event_id))] if letter.event_id else []),
        *([("producer", whole(letter.event_source))] if letter.event_source else []),
        *([("account", whole(letter.account_id))] if letter.account_id else []),
        ("source", f"{letter.source}, {number(letter.body_bytes)} bytes"),
        ("seen", f"{number(letter.seen)} times, last {when(letter.last_at)} UTC"),
    ]


def _closing_rows(letter: Letter) -> list[tuple[str, object]]:
    by = f" by {letter.closed_by}" if letter.closed_by else ""
    by = f" by event {letter.superseded_by}" if letter.superseded_by else by
    rows = {
        "closed": f"{letter.status} {when(letter.closed_at)} UTC{by}" if letter.closed_at else "",
        "corrected to": letter.corrected_to,
        "owner": letter.owner,
        "snoozed until": f"{when(letter.snoozed_until)} UTC" if letter.snoozed_until else "",
        "note": letter.note,
    }
    return [(name, value) for name, value in rows.items() if value]
