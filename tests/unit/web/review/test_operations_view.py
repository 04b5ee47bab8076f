from typing import Any

from markupsafe import Markup

from worker.web.review.operations_view import instance_view, ways, workers

OPEN = {"state": "open", "changed_at": None, "needs_action": False}
QUIET: dict[str, Any] = {
    "gate": OPEN, "due_live": 0, "due_backfill": 0, "waiting": 0, "in_flight": 0, "oldest_due_seconds": 0.0,
    "paused_seconds": 0, "rate_cut_to": None, "ceiling": None, "tally": {"calls": 7}, "dead_letters_open": {},
}  # fmt: skip


def stats(**values: Any) -> dict[str, tuple[str, str]]:
    shown = instance_view("toolbox", QUIET | values, Markup(), 0)
    return {name: (value, about) for name, value, about in shown.stats}


def test_a_quiet_instance_has_no_reason_and_no_advice() -> None:
    shown = instance_view("toolbox", QUIET, Markup(), 0)
    assert (shown.reason, shown.advice, shown.kind) == ("", "", "good")
    assert stats()["Oldest due"] == ("none", "")
    assert stats()["Rate"] == ("none", "no call was made yet")
    assert ("calls", 7) in shown.tally


def test_the_queue_and_the_letters_are_counted() -> None:
    shown = stats(due_live=2, due_backfill=1000, oldest_due_seconds=600, dead_letters_open={"A": 2, "B": 3})
    assert shown["Due now"] == ("1,002", "2 live, 1,000 backfill")
    assert shown["Oldest due"] == ("10 min", "")
    assert shown["Dead letters"] == ("5", "open")


def test_the_rate_says_why_it_is_lower() -> None:
    assert stats(ceiling=50.0)["Rate"] == ("50 calls/s", "as configured")
    assert stats(ceiling=50.0, rate_cut_to=12.5)["Rate"] == ("12.5 calls/s", "of 50, climbing back")
    assert stats(ceiling=50.0, paused_seconds=30)["Rate"] == ("paused", "for 30 s, as Flinks asked")


def test_a_closed_gate_has_its_cause_and_advice_once_and_what_opening_does() -> None:
    gate = {"state": "closed", "cause": "storm", "code": "INVALID_LOGIN", "detail": "50 logins", "needs_action": True}
    shown = instance_view("toolbox", QUIET | {"gate": gate}, Markup(), 0)
    assert (shown.kind, shown.reason) == ("bad", "")  # it is an alarm at the top
    assert "invalid" in shown.opening
    outage = {"state": "half_open", "cause": "outage", "detail": "HTTP 503", "needs_action": False}
    shown = instance_view("toolbox", QUIET | {"gate": outage}, Markup(), 0)
    assert shown.kind == "warn"
    assert "HTTP 503" in shown.reason
    assert "No action is needed" in shown.advice
    assert "the gate closes again" in shown.opening


def test_a_way_that_cannot_be_read_is_unknown_and_not_zero() -> None:
    way = {"events": None, "unacknowledged": None, "oldest_seconds": None, "problem": "the broker is away"}
    (shown,) = ways({"waiting_events": {"queue": way}, "rabbitmq": {}})
    assert (shown.name, shown.events, shown.text) == ("RabbitMQ's queue", None, "unknown: the broker is away")


def test_workers_say_where_they_are_excluded() -> None:
    (one,) = workers({"workers": [{"name": "celery@a", "silent_seconds": 0.5, "slots": 8, "excluded": ["acme"]}]})
    assert (one.slots, one.pulse, one.excluded) == ("8", "0.5 s ago", "acme")
