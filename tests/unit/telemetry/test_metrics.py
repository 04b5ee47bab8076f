"""The result of a scrape, for every kind of status."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.telemetry.captured import Lines
from worker.telemetry.metrics import LedgerCollector

STATUS: dict[str, Any] = {
    "instances": {
        "toolbox": {
            "due_live": 3,
            "due_backfill": 40,
            "waiting": 5,
            "in_flight": 2,
            "oldest_due_seconds": 1.5,
            "rate_per_second": 25.0,
            "rate_cut_to": None,
            "gate": "half_open",
            "tally": {"recorded": 50, "applied_on": 9, "calls": 11},
            "dead_letters_open": {"INVALID_LOGIN": 7},
        },
        "acme-us": {"gate": {"state": "closed"}, "tally": {}},
    },
    "rejected": 4,
    "workers": [{"name": "one"}, {"name": "two"}],
    "rejected_open": {"invalid_event": 6},
    "waiting_events": {
        "stream": {"events": 12, "unacknowledged": 2, "oldest_seconds": 3.5},
        "queue": {"events": None, "unacknowledged": None, "oldest_seconds": None, "problem": "unreachable"},
        "set_aside": {"events": 6, "unacknowledged": 0, "oldest_seconds": None},
    },
    "stream_vanished": 3,
    "stream_ids_ahead_seconds": 0.0,
}


LABELS = ("instance", "state", "outcome", "code", "way")


def _scrape(read: Callable[[], Mapping[str, Any]]) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(read))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (one.name, *(one.labels[name] for name in LABELS if name in one.labels)): one.value
        for family in families
        for one in family.samples
    }


def test_every_number_of_the_ledger_is_a_sample() -> None:
    assert _scrape(lambda: STATUS) == {
        ("nightly_up",): 1,
        ("nightly_due_live_logins", "toolbox"): 3,
        ("nightly_due_backfill_logins", "toolbox"): 40,
        ("nightly_waiting_logins", "toolbox"): 5,
        ("nightly_in_flight_calls", "toolbox"): 2,
        ("nightly_oldest_due_seconds", "toolbox"): 1.5,
        ("nightly_rate_calls_per_second", "toolbox"): 25,
        ("nightly_gate_state", "toolbox", "open"): 0,
        ("nightly_gate_state", "toolbox", "half_open"): 1,
        ("nightly_gate_state", "toolbox", "closed"): 0,
        ("nightly_gate_state", "acme-us", "open"): 0,
        ("nightly_gate_state", "acme-us", "half_open"): 0,
        ("nightly_gate_state", "acme-us", "closed"): 1,
        ("nightly_outcomes_total", "toolbox", "recorded"): 50,
        ("nightly_outcomes_total", "toolbox", "applied_on"): 9,
        ("nightly_calls_total", "toolbox"): 11,
        ("nightly_dead_letters_open", "toolbox", "INVALID_LOGIN"): 7,
        ("nightly_dead_letters_open", "", "invalid_event"): 6,
        ("nightly_rejected_messages_total",): 4,
        ("nightly_workers",): 2,
        ("nightly_waiting_events", "stream"): 12,
        ("nightly_waiting_events", "set_aside"): 6,
        ("nightly_waiting_oldest_seconds", "stream"): 3.5,
        ("nightly_stream_entries_vanished_total",): 3,
        ("nightly_stream_ids_ahead_seconds",): 0,
    }


@pytest.mark.parametrize("status", [{}, {"instances": None}, {"instances": {"toolbox": {}}, "workers": None}])
def test_figures_missing_in_the_ledger_are_left_out(status: dict[str, Any]) -> None:
    assert _scrape(lambda: status) == {("nightly_up",): 1}


@pytest.mark.parametrize("status", [None, {"instances": {"toolbox": None}}, {"instances": ["toolbox"]}])
def test_an_invalid_status_counts_as_an_outage(status: Any, lines: Lines) -> None:
    assert _scrape(lambda: status) == {("nightly_up",): 0}
    assert lines.last["event"] == "metrics_read_failed"


def test_a_ledger_that_cannot_be_read_is_a_metric_and_no_exception(lines: Lines) -> None:
    def read() -> Mapping[str, Any]:
        raise ConnectionError("Error 111 connecting to redis://:pa55@host:6379")

    assert _scrape(read) == {("nightly_up",): 0}
    assert lines.last["exception"][0]["type"] == "ConnectionError"
    assert "pa55" not in lines.text


def test_a_code_that_could_be_a_secret_or_one_too_many_counts_as_other(canaries: tuple[str, ...]) -> None:
    codes = {f"CODE_{number}": 1 for number in range(150)} | dict.fromkeys(canaries, 1)
    assert _only_codes(codes)["other"] == 54
    assert _only_codes({canaries[0]: 2, canaries[1]: 3, 'x"\n': 1}) == {"other": 6}


def _only_codes(codes: dict[str, int]) -> dict[str, float]:
    scraped = _scrape(lambda: {"instances": {"toolbox": {"dead_letters_open": codes}}})
    return {key[2]: value for key, value in scraped.items() if key[0] == "nightly_dead_letters_open"}


def test_registering_does_not_read_the_ledger() -> None:
    def read() -> Mapping[str, Any]:
        pytest.fail("read before any scrape")

    CollectorRegistry().register(LedgerCollector(read))
