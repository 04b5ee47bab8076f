"""`nightly status`: prints the state of the ledger and the broker, with the alarms that need a person first."""

import time
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from worker.cli.context import settings_and_client
from worker.cli.output import (
    BAD,
    DIM,
    GOOD,
    NAME,
    WARN,
    alarm,
    console,
    number,
    pairs,
    paragraph,
    plain,
    print_json,
    span,
    when,
)
from worker.config.settings import Settings
from worker.ledger.queries import Views
from worker.operations.advice import (
    alarms,
    gate_advice,
    gate_reason,
    messages_for_workers,
    missing_key_reason,
    vanished_reason,
    way_text,
)
from worker.operations.state_documents import Status
from worker.operations.waiting import read_state
from worker.redis_client.error_messages import place_of

WATCH_SECONDS = 2.0
CLOSED_GATE_OR_NO_WORKER = 1

_RESULTS = ("applied_on", "applied_off", "superseded", "duplicate", "dead_lettered")
_CALLS = ("retried", "throttled", "ambiguous", "unconfirmed", "fenced", "leases_lost")


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show gates, waiting events, backlog, results, dead letters and workers.

    Exit code 1 if something needs a person now: a closed gate (in an outage after 15 minutes: it opens by itself),
    waiting events or logins without a live worker, a key that no worker has, a closed stream, or events that vanished
    from the stream within a day. Open dead letters do not change the exit code.
    """
    settings, client = settings_and_client()
    views, place = Views(client), place_of(settings.redis_address())
    if watch:
        _watch(settings, views, place, as_json=as_json)
        return
    state, now_ms = read_state(views.redis, settings), views.now_ms()
    if as_json:
        print_json([_document(state, now_ms)])
    else:
        console().print(picture(state, place, now_ms))
    if alarms(state, now_ms):
        raise typer.Exit(CLOSED_GATE_OR_NO_WORKER)


def picture(state: dict[str, Any], place: str, now_ms: int) -> RenderableType:
    """Return `waiting.read_state()` as text for a terminal, alarms first."""
    parts: list[RenderableType] = [Text.assemble(("Nightly", NAME), (f"  Redis {place}  {when(now_ms)} UTC", DIM)), ""]
    parts += [alarm(each.title, each.reason, each.advice) for each in alarms(state, now_ms)]
    for name, about in state["instances"].items():
        parts += [_headline(name, about["gate"], now_ms), pairs(_instance_rows(name, about)), ""]
    if not state["instances"] and not messages_for_workers(state):
        parts += [paragraph("No event is recorded yet; `nightly publish --help` shows how to send one."), ""]
    return Group(*parts, pairs(_common_rows(state), indent=0))


def _watch(settings: Settings, views: Views, place: str, *, as_json: bool) -> None:
    screen: Console = console()
    is_live = screen.is_terminal and not as_json
    try:
        with Live(console=screen, auto_refresh=False, screen=True) if is_live else nullcontext() as live:
            while True:
                state, now_ms = read_state(views.redis, settings), views.now_ms()
                if as_json:
                    print_json([_document(state, now_ms)])
                elif live:
                    live.update(picture(state, place, now_ms), refresh=True)
                else:
                    screen.print(picture(state, place, now_ms))
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _document(state: dict[str, Any], now_ms: int) -> Status:
    return Status.of(state, read_at=now_ms, needs_a_person=[asdict(each) for each in alarms(state, now_ms)])


def _headline(name: str, gate: dict[str, Any], now_ms: int) -> Text:
    is_open = gate["state"] == "open"
    since = f" since {when(gate['changed_at'])}" if gate["changed_at"] else ""
    age = f" ({span((now_ms - gate['changed_at']) / 1000)})" if gate["changed_at"] else ""
    state = ("gate open", GOOD) if is_open else (f"GATE {gate['state'].replace('_', ' ').upper()}", BAD)
    return Text.assemble((plain(name), NAME), "  ", state, (since + age, DIM))


def _instance_rows(name: str, about: dict[str, Any]) -> list[tuple[str, object]]:
    tally, gate = about["tally"], about["gate"]
    due = about["due_live"] + about["due_backfill"]
    now = f"{number(about['due_live'])} live, {number(about['due_backfill'])} backfill" if due else "0"
    if due:
        now += f"; the oldest for {span(about['oldest_due_seconds'])}"
    calls = "".join(f", {number(tally[name])} {name.replace('_', ' ')}" for name in _CALLS if tally.get(name))
    is_outage = gate["state"] != "open" and not gate["needs_action"]  # any other closed gate is an alarm above
    rows: list[tuple[str, object]] = [
        *([("outage", Text(plain(f"{gate_reason(gate)}. {gate_advice(name, gate)}"), WARN))] if is_outage else []),
        ("due now", now),
        ("waiting", f"{number(about['waiting'])} for their next attempt"),
        ("in flight", number(about["in_flight"])),
        ("rate", _rate(about)),
        ("events", f"{number(tally.get('recorded', 0))} recorded, {number(tally.get('replayed', 0))} replayed"),
        ("results", ", ".join(f"{number(tally.get(name, 0))} {name.replace('_', ' ')}" for name in _RESULTS)),
        ("calls", number(tally.get("calls", 0)) + calls),
        ("dead letters", _letters(about["dead_letters_open"])),
    ]
    return rows


def _rate(about: dict[str, Any]) -> Text:
    if about["paused_seconds"]:
        return Text(f"paused for {span(about['paused_seconds'])}, as Flinks asked", WARN)
    if about["rate_cut_to"] is not None:
        return Text(f"{about['rate_cut_to']:g} of {about['ceiling']:g} calls/s, climbing back", WARN)
    return Text(f"{about['ceiling']:g} calls/s, as configured" if about["ceiling"] else "no call was made yet")


def _letters(by_code: dict[str, int]) -> Text:
    if not by_code:
        return Text("none open")
    codes = ", ".join(f"{plain(code)} {number(count)}" for code, count in sorted(by_code.items(), key=lambda x: -x[1]))
    return Text.assemble((f"{number(sum(by_code.values()))} open", WARN), f": {codes}")


def _common_rows(state: dict[str, Any]) -> list[tuple[str, object]]:
    alive = ", ".join(plain(f"{about['name']} ({about.get('slots', '?')} slots)") for about in state["workers"])
    workers = f"{len(state['workers'])} alive: {alive}" if alive else Text("none alive", WARN)
    rows: list[tuple[str, object]] = [
        ("ledger", state["ledger"] or "new: no worker has used it yet"),
        ("workers", workers),
        ("stream", _stream(state)),
        ("queue", _way(state["waiting_events"]["queue"])),
        ("rejected", _rejected(state)),
    ]
    if missing := state.get("missing_keys"):
        rows.append(("keys", Text("; ".join(map(missing_key_reason, missing)), WARN)))
    if "rabbitmq" in state:
        rows.append(("RabbitMQ", _rabbit(state["rabbitmq"])))
    if state["dead_letters_open"]:
        rows.append(("review", f"{number(state['dead_letters_open'])} open: nightly dead-letters groups"))
    return rows


def _stream(state: dict[str, Any]) -> Text:
    text = _way(state["waiting_events"]["stream"])
    if state.get("stream_vanished"):
        text.append(f"; {vanished_reason(state)}", WARN)
    return text


def _way(way: dict[str, Any]) -> Text:
    return Text(plain(way_text(way, span)), WARN if way["events"] is None else "")


def _rejected(state: dict[str, Any]) -> Text:
    aside = state["waiting_events"]["set_aside"]
    text = Text(f"{number(state['rejected'])} so far")
    if aside["events"]:
        text.append(f"; set aside for a person: {way_text(aside, span)}")
    if state["rejected_unkept"]:
        text.append(f"; {number(state['rejected_unkept'])} were only counted, because the review list was full", WARN)
    return text


def _rabbit(queues: dict[str, Any]) -> Text:
    waiting = [f"{number(queue['waiting'])} wait in {plain(name)}" for name, queue in queues.items() if queue]
    return Text(", ".join(waiting) or "no queue yet: a worker creates them")
