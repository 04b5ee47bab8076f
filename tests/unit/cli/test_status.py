from typing import Any

from rich.console import Console

from worker.cli.status import picture

ABOUT: dict[str, Any] = {
    "gate": {"state": "open", "changed_at": None, "needs_action": False},
    "due_live": 1200, "due_backfill": 3, "waiting": 4, "in_flight": 5,
    "oldest_due_seconds": 75.0, "paused_seconds": 0, "rate_cut_to": None, "ceiling": 50.0,
    "tally": {"recorded": 9, "dead:X": 1},
    "dead_letters_open": {"INVALID_LOGIN": 2},
}  # fmt: skip
NONE_WAIT = {"events": 0, "unacknowledged": 0, "oldest_seconds": None}
WAYS = {"stream": NONE_WAIT, "queue": NONE_WAIT, "set_aside": NONE_WAIT}
STATUS: dict[str, Any] = {
    "instances": {"acme": ABOUT}, "rejected": 1, "rejected_unkept": 0, "dead_letters_open": 3,
    "workers": [{"name": "w@h", "slots": 2}],
    "reconcilers": 1, "waiting_events": WAYS, "ledger": "sandbox",
}  # fmt: skip


def shown(status: dict[str, Any], width: int) -> str:
    console = Console(width=width, markup=False, highlight=False, file=None, record=True, quiet=False)
    with console.capture() as captured:
        console.print(picture(status, "db:6379", 0))
    return captured.get()


def test_every_figure_of_the_ledger_is_shown() -> None:
    text = shown(STATUS, 120)
    for words in (
        "acme  gate open",
        "1,200 live",
        "oldest for 1 min",
        "2 open: INVALID_LOGIN 2",
        "w@h (2 slots)",
        "ledger    sandbox",
    ):
        assert words in text


def test_a_closed_gate_is_shown_first() -> None:
    gate = {
        "state": "closed",
        "cause": "operator",
        "by": "ann",
        "detail": "maintenance",
        "changed_at": 0,
        "needs_action": True,
    }
    text = shown(STATUS | {"instances": {"acme": ABOUT | {"gate": gate}}}, 120)
    assert text.index("GATE CLOSED: acme") < text.index("due now")
    assert "nightly gate open acme" in text


def test_an_outage_says_that_no_action_is_needed_and_a_reduced_rate_names_its_value() -> None:
    gate = {"state": "half_open", "cause": "outage", "detail": "20 of the last 20 calls failed", "changed_at": 0}
    gate |= {"needs_action": False}
    text = shown(STATUS | {"instances": {"acme": ABOUT | {"gate": gate, "rate_cut_to": 12.5}}}, 120)
    assert "GATE HALF OPEN" in text
    assert "No action is needed" in text
    assert "GATE CLOSED:" not in text
    assert "12.5 of 50 calls/s" in text


def test_a_long_outage_is_an_alarm() -> None:
    gate = {"state": "closed", "cause": "outage", "detail": "x", "changed_at": 0, "needs_action": True}
    text = " ".join(shown(STATUS | {"instances": {"acme": ABOUT | {"gate": gate}}}, 120).split())
    assert "GATE CLOSED: acme" in text
    assert "It lasts long: check Flinks' status page" in text
    assert "No action is needed" not in text


def test_waiting_work_without_a_worker_is_an_alarm() -> None:
    assert "NO WORKER" in shown(STATUS | {"workers": []}, 120)
    assert "NO WORKER" not in shown(STATUS | {"workers": [], "instances": {}}, 120)


def test_waiting_events_without_a_worker_are_an_alarm_on_an_empty_ledger_too() -> None:
    queue = {"events": 1204, "unacknowledged": 3, "oldest_seconds": 75.0}
    text = " ".join(
        shown(STATUS | {"workers": [], "instances": {}, "waiting_events": WAYS | {"queue": queue}}, 120).split()
    )
    assert "1,204 messages wait to be recorded; logins due or in flight: 0" in text
    assert "queue 1,204 messages wait, the oldest for 1 min; a worker has read 3 of them" in text
    assert "No event is recorded yet" not in text


def test_a_queue_that_cannot_be_read_is_unknown_and_not_empty() -> None:
    queue = {"events": None, "unacknowledged": None, "oldest_seconds": None, "problem": "RabbitMQ cannot be reached"}
    text = shown(STATUS | {"waiting_events": WAYS | {"queue": queue}}, 120)
    assert "unknown: RabbitMQ cannot be reached" in text


def test_a_key_that_no_worker_holds_is_named_and_is_an_alarm_after_a_minute() -> None:
    key = {"key_id": "0badcafe", "since": 1_700_000_000_000, "seconds": 59.0}
    text = shown(STATUS | {"missing_keys": [key]}, 120)
    assert "no live worker has key 0badcafe" in text
    assert "2023-11-14 22:13:20" in text
    assert "LOGIN KEY MISSING" not in text
    assert "LOGIN KEY MISSING" in shown(STATUS | {"missing_keys": [key | {"seconds": 60.0}]}, 120)


def test_a_closed_stream_is_an_alarm_and_vanished_events_are_one_for_a_day() -> None:
    assert "STREAM CLOSED" in shown(STATUS | {"stream_is_closed": True}, 120)
    lost = {"stream_vanished": 1204, "stream_vanished_at": -86_300_000}
    text = " ".join(shown(STATUS | lost, 120).split())
    assert "EVENTS VANISHED" in text
    assert "Publish the events" in text
    text = " ".join(shown(STATUS | lost | {"stream_vanished_at": -86_400_000}, 120).split())
    assert "EVENTS VANISHED" not in text
    assert "1,204 stream entries vanished before a worker read them, last noticed 1969-12-31 00:00:00 UTC" in text


def test_no_line_exceeds_the_terminal_width() -> None:
    assert max(map(len, shown(STATUS, 80).splitlines())) <= 80


def test_messages_that_were_only_counted_are_listed_separately() -> None:
    assert "1,204 were only counted" in " ".join(shown(STATUS | {"rejected_unkept": 1204}, 100).split())
