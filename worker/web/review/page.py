"""Renders the review page as HTML without scripts; every value is escaped and printable."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from worker.ledger.dead_letters import Group, Letter
from worker.operations.advice import advice_for, alarms, gate_advice, gate_reason, way_text

REFRESH_SECONDS = 10
STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --bad: #b3261e; --good: #2e7d32 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } .dim { color: var(--dim) }
.alarm { background: var(--bad); color: #fff; padding: .8rem 1rem; border-radius: .4rem; margin: 1rem 0 }
.open { color: var(--good) } .closed { color: var(--bad); font-weight: bold }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line) }
th { color: var(--dim); font-weight: normal } td.n { text-align: right } code { font-size: .9em }
"""
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Nightly: {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<style>{style}</style></head><body>{body}</body></html>
"""
_TALLY = (
    "recorded", "replayed", "applied_on", "applied_off", "superseded", "duplicate", "dead_lettered", "calls", "retried",
    "throttled", "ambiguous", "unconfirmed", "fenced", "leases_lost",
)  # fmt: skip


def review_page(status: Mapping[str, Any], groups: Sequence[Group], letters: Sequence[Letter], now_ms: int) -> str:
    """Return the whole page, alarms first."""
    active = alarms(status, now_ms)
    shut = [name for name, about in status["instances"].items() if about["gate"]["state"] != "open"]
    calm = f"{status['dead_letters_open']:,} to review" if letters else "all is well"
    title = active[0].title if active else f"outage: {shut[0]}" if shut else calm
    parts = [
        f"<h1>Nightly</h1><p class=dim>{_when(now_ms)} UTC (clock of Redis); reloads every {REFRESH_SECONDS} s</p>",
        *(
            f"<div class=alarm role=alert><b>{_text(alarm.title)}</b><br>{_text(alarm.reason)}<br>"
            f"{_text(alarm.advice)}</div>"
            for alarm in active
        ),
        _instances(status["instances"]),
        _waiting(status),
        _workers(status),
        _groups(groups),
        _letters(letters, int(status["dead_letters_open"])),
    ]
    return _frame(title, "".join(parts), refreshes=True)


def plain_page(title: str, text: str, *, refreshes: bool = False) -> str:
    """Return a page with a title and one text."""
    return _frame(title, f"<h1>{_text(title)}</h1><p>{_text(text)}</p>", refreshes=refreshes)


def _frame(title: str, body: str, *, refreshes: bool) -> str:
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refreshes else ""
    return _FRAME.format(title=_text(title), refresh=refresh, style=STYLE, body=body)


def _instances(instances: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, about in instances.items():
        rows.append([
            f"<b>{_text(name)}</b>",
            _gate(name, about["gate"]),
            f"{about['due_live']:,} live, {about['due_backfill']:,} backfill",
            f"{about['oldest_due_seconds']:,.0f} s",
            f"{about['waiting']:,}",
            f"{about['in_flight']:,}",
            _rate(about),
        ])  # fmt: skip
    heads = ("Instance", "Gate", "Due now", "Oldest due", "Waiting", "In flight", "Rate")
    counted = [
        [
            f"<b>{_text(name)}</b>",
            ", ".join(f"{about['tally'].get(key, 0):,} {key.replace('_', ' ')}" for key in _TALLY),
        ]
        for name, about in instances.items()
    ]
    return "<h2>Instances</h2>" + _table(heads, rows, "No event is recorded yet.") + _table(("", "So far"), counted, "")


def _gate(name: str, gate: Mapping[str, Any]) -> str:
    if gate["state"] == "open":
        return "<span class=open>open</span>"
    state = f"<span class=closed>{_text(gate['state'].replace('_', ' ').upper())}</span>"
    if gate["needs_action"]:  # an alarm at the top of the page
        return state
    return f"{state}<br>{_text(gate_reason(gate))}. {_text(gate_advice(name, gate))}"


def _rate(about: Mapping[str, Any]) -> str:
    if about["paused_seconds"]:
        return f"paused for {about['paused_seconds']:.0f} s"
    return "as configured" if about["rate_cut_to"] is None else f"{about['rate_cut_to']:g} calls/s, climbing back"


def _workers(status: Mapping[str, Any]) -> str:
    rows = [
        [_text(str(about["name"])), _text(str(about.get("slots", ""))), f"{about['silent_seconds']:g} s ago"]
        for about in status["workers"]
    ]
    return f"<h2>Workers</h2>{_table(('Name', 'Slots', 'Last pulse'), rows, 'None is alive.')}"


def _waiting(status: Mapping[str, Any]) -> str:
    queue = "RabbitMQ's queue" if "rabbitmq" in status else "Celery's queue"
    names = {"stream": "Stream", "queue": queue, "set_aside": "Set aside for a person"}
    rows = [[names[name], _text(way_text(way))] for name, way in status["waiting_events"].items()]
    below = f"<p class=dim>{status['rejected']:,} messages rejected so far</p>"
    return f"<h2>Events that are not recorded</h2>{_table(('Where', 'How many'), rows, '')}{below}"


def _groups(groups: Sequence[Group]) -> str:
    rows = [
        [
            f"{group.count:,}", f"<code>{_text(group.code)}</code>", _text(group.wish), _text(group.instance),
            _when(group.oldest_at), _when(group.newest_at), _text(advice_for(group.code)),
        ]
        for group in groups
    ]  # fmt: skip
    heads = ("Letters", "Code", "Wish", "Instance", "Oldest (UTC)", "Newest (UTC)", "What to do")
    return "<h2>Dead letters by reason</h2>" + _table(heads, rows, "No dead letter is open.")


def _letters(letters: Sequence[Letter], open_in_all: int) -> str:
    if not letters:
        return ""
    rows = [
        [
            f"<code>{_text(letter.id)}</code>", _when(letter.created_at), f"<code>{_text(letter.code)}</code>",
            _text(letter.wish), _text(letter.login or f"rejected {letter.source} message {letter.event_id}".strip()),
            _text(letter.account_id), _text(letter.message or letter.reason),
        ]
        for letter in letters
    ]  # fmt: skip
    heads = ("ID", "Filed (UTC)", "Code", "Wish", "Login", "Account", "Message")
    below = (
        "<p class=dim>To act: <code>nightly dead-letters show ID</code>, <code>replay</code>, <code>resolve</code></p>"
    )
    return f"<h2>The newest {len(letters):,} of {open_in_all:,}</h2>{_table(heads, rows, '')}{below}"


def _table(heads: Iterable[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    if not rows:
        return f"<p>{empty}</p>" if empty else ""
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _text(value: str) -> str:
    """Return the value, escaped, with each unprintable (also control or bidirectional) character as a question mark."""
    return escape("".join(char if char.isprintable() else "?" for char in value))
