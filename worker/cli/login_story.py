"""Tells what the ledger has about one login: a title, a table and its attempts."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from worker.cli.output import (
    BAD,
    DIM,
    GOOD,
    NAME,
    WARN,
    ago,
    pairs,
    paragraph,
    plain,
    when,
    whole,
)
from worker.ledger.dead_letters import Letter
from worker.operations.advice import advice_for

_STATE_STYLES = {"waiting": WARN, "in_flight": WARN, "applied": GOOD, "dead_lettered": BAD}
_OUTCOME_STYLES = {"applied": GOOD, "dead": BAD, "halt": BAD}


def story(about: dict[str, Any], letter: Letter | None, why: str, now_ms: int) -> RenderableType:
    """Return what the ledger has about a login as a title, a table and its attempts."""
    title = Text.assemble((about["login"], NAME), f" on {plain(about['instance'])}")
    wished_ms = about["occurred_us"] / 1000
    state = Text(about["state"].replace("_", " "), _STATE_STYLES[about["state"]])
    rows: list[tuple[str, object]] = [
        ("account", whole(about["account_id"])),
        ("wish", Text.assemble((about["wish"], NAME), f" since {when(wished_ms)} UTC, {ago(wished_ms, now_ms)}")),
        ("by event", whole(f"{about['event_id']} (revision {about['revision']})")),
        ("state", state),
    ]
    rows += [("because", why)] if why else []
    rows.append(("Flinks has", _confirmed(about, now_ms)))
    if letter:
        rows += letter_rows(letter, now_ms)
    parts: list[RenderableType] = [title, pairs(rows)]
    if about["history"]:
        parts += ["", history_lines(about["history"])]
    return Group(*parts)


def letter_rows(letter: Letter, now_ms: int) -> list[tuple[str, object]]:
    """Return the rows about a login's open dead letter, with advice and the next command."""
    return [
        ("dead letter", Text(f"{letter.id}: {plain(letter.code)}, {ago(letter.created_at, now_ms)}", BAD)),
        ("what to do", advice_for(letter.code)),
        ("next", Text(f"nightly dead-letters show {letter.id}", "cyan")),
    ]


def history_lines(history: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Return the history, oldest first: one line each, with Flinks' message or a person's note below."""
    lines: list[RenderableType] = [Text("History, oldest first (UTC)", NAME)]
    for line in history:
        lines.append(_LINES_OF[line["kind"]](f"  {when(line.get('at'))}  ", line))
        if more := line.get("message") or line.get("text"):
            lines.append(paragraph(plain(more), DIM, indent=4))
    return Group(*lines)


def _attempt_line(head: str, attempt: Mapping[str, Any]) -> Text:
    outcome = str(attempt.get("outcome", ""))
    took = f"{attempt['seconds']:.2f} s" if "seconds" in attempt else ""
    style = _OUTCOME_STYLES.get(outcome, WARN)
    status = f"HTTP {attempt['http_status']}" if attempt.get("http_status") else "-"
    body = f"  {status:<8}  {took:>7}  {plain(attempt.get('code'))}"
    wish = "on" if attempt.get("wish") else "off"
    return Text.assemble(f"{head}{wish:<3}  ", (f"{plain(outcome.replace('_', ' ')):<10}", style), body)


def _event_line(head: str, event: Mapping[str, Any]) -> Text:
    wish = "on" if event.get("wish") else "off"
    occurred = f"of {when(event['occurred_us'] / 1000)} UTC"
    return Text(f"{head}{wish:<3}  event {plain(event.get('event_id'))} {occurred}, {plain(event.get('result'))}")


def _action_line(head: str, action: Mapping[str, Any]) -> Text:
    name = plain(str(action.get("action", "")).replace("_", " "))
    return Text(f"{head}     {name} by {plain(action.get('by'))}, dead letter {plain(action.get('letter'))}")


_LINES_OF = {"attempt": _attempt_line, "event": _event_line, "action": _action_line}


def _confirmed(about: dict[str, Any], now_ms: int) -> Text:
    if about["confirmed_wish"] is None:
        return Text("confirmed nothing yet")
    at = about["confirmed_at"]
    body = f" confirmed {when(at)} UTC, {ago(at, now_ms)} (revision {about['confirmed_revision']})"
    return Text.assemble((about["confirmed_wish"], NAME), body)
