from typing import Any

from rich.console import Console

from worker.cli.status import picture

ABOUT: dict[str, Any] = {
    "gate": {"state": "open", "changed_at": None}, "due_live": 1200, "due_backfill": 3, "waiting": 4, "in_flight": 5,
    "oldest_due_seconds": 75.0, "paused_seconds": 0, "rate_cut_to": None, "tally": {"recorded": 9, "dead:X": 1},
    "dead_letters_open": {"INVALID_LOGIN": 2},
}  # fmt: skip
STATUS: dict[str, Any] = {
    "instances": {"acme": ABOUT}, "rejected": 1, "dead_letters_open": 3, "workers": [{"name": "w@h", "slots": 2}],
    "reconcilers": 1, "stream_length": 0,
}  # fmt: skip


def shown(status: dict[str, Any], width: int) -> str:
    console = Console(width=width, markup=False, highlight=False, file=None, record=True, quiet=False)
    with console.capture() as captured:
        console.print(picture(status, "db:6379", 0))
    return captured.get()


def test_everything_a_person_asks_for_is_there() -> None:
    text = shown(STATUS, 120)
    for words in ("acme  gate open", "1,200 live", "oldest for 1 min", "2 open: INVALID_LOGIN 2", "w@h (2 slots)"):
        assert words in text


def test_a_closed_gate_is_the_first_thing_to_see() -> None:
    gate = {"state": "closed", "cause": "operator", "by": "ann", "detail": "maintenance", "changed_at": 0}
    text = shown(STATUS | {"instances": {"acme": ABOUT | {"gate": gate}}}, 120)
    assert text.index("GATE CLOSED: acme") < text.index("due now")
    assert "nightly gate open acme" in text


def test_waiting_work_without_a_worker_is_an_alarm() -> None:
    assert "NO WORKER" in shown(STATUS | {"workers": []}, 120)
    assert "NO WORKER" not in shown(STATUS | {"workers": [], "instances": {}}, 120)


def test_no_line_is_wider_than_the_terminal() -> None:
    assert max(map(len, shown(STATUS, 80).splitlines())) <= 80
