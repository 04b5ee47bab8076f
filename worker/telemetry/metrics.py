"""The Prometheus metrics, read from the ledger at each scrape; `metrics_server.py` serves them.

Pool children therefore need no shared files, and each worker's endpoint reports the whole cluster. A number that the
ledger lacks is absent, not 0; if the ledger cannot be read, `nightly_up` is 0. Labels hold an instance, an outcome or a
code, never a login.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.telemetry.logs import get_logger
from worker.telemetry.scrub import scrub_text

GATE_STATES = ("open", "half_open", "closed")
OTHER_CODE = "other"
MAX_CODES = 100
"""Maximum codes per instance: each is a time series, and Flinks chooses the text of a code."""
_CODE = re.compile(r"[A-Za-z0-9_ ]{1,64}")
_INSTANCE_GAUGES = (
    ("due_live", "nightly_due_live_logins", "Logins of live events whose next call is due."),
    ("due_backfill", "nightly_due_backfill_logins", "Logins of backfills whose next call is due."),
    ("waiting", "nightly_waiting_logins", "Logins that wait for a later attempt."),
    ("in_flight", "nightly_in_flight_calls", "Calls to Flinks in flight, cluster-wide."),
    ("oldest_due_seconds", "nightly_oldest_due_seconds", "How long the longest-waiting due login has been due."),
    ("paused_seconds", "nightly_paused_seconds", "How long calls still wait because Flinks asked us to."),
    ("rate_per_second", "nightly_rate_calls_per_second", "Calls a second that the scheduler allows at present."),
    ("rate_cut_to", "nightly_rate_cut_to_calls_per_second", "The rate after throttling; absent while it is not cut."),
)
_log = get_logger(__name__)


class LedgerCollector(Collector):
    """Reads the ledger's status at each scrape."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Return no metric names, so that registering does not read the ledger."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return every metric, or only `nightly_up 0` if the ledger cannot be read."""
        try:
            found = list(_metrics_of(self._read()))
        except Exception:  # noqa: BLE001 - a scrape must be answered whatever the ledger does
            _log.warning("metrics_read_failed", exc_info=True)
            found = []
        return [GaugeMetricFamily("nightly_up", "Whether the ledger could be read.", value=float(bool(found))), *found]


def _metrics_of(status: Mapping[str, Any]) -> Iterable[Metric]:
    instances: Mapping[str, Any] = status.get("instances") or {}
    for key, name, text in _INSTANCE_GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["instance"])
        for instance, numbers in instances.items():
            _add(gauge, [instance], numbers.get(key))
        yield gauge
    yield _gates(instances)
    yield from _counters(instances)
    yield _dead_letters(instances, status.get("rejected_open") or {})
    rejected = CounterMetricFamily("nightly_rejected_messages", "Messages that were not valid events.")
    yield _single(rejected, status, "rejected")
    unkept = CounterMetricFamily(
        "nightly_rejected_messages_unkept", "Rejected messages not kept for review, because the list was full."
    )
    yield _single(unkept, status, "rejected_unkept")
    yield _single(GaugeMetricFamily("nightly_workers", "Live workers."), status, "workers")
    yield from _waiting_events(status.get("waiting_events") or {})
    vanished = CounterMetricFamily("nightly_stream_entries_vanished", "Stream entries that vanished unread.")
    yield _single(vanished, status, "stream_vanished")
    ahead = GaugeMetricFamily("nightly_stream_ids_ahead_seconds", "How far the stream's last id is ahead of the clock.")
    yield _single(ahead, status, "stream_ids_ahead_seconds")


def _gates(instances: Mapping[str, Any]) -> Metric:
    gauge = GaugeMetricFamily("nightly_gate_state", "1 for the gate's present state.", labels=["instance", "state"])
    for instance, numbers in instances.items():
        gate = numbers.get("gate")
        present = gate.get("state") if isinstance(gate, Mapping) else gate
        for state in GATE_STATES if present in GATE_STATES else ():
            gauge.add_metric([instance, state], float(present == state))
    return gauge


def _counters(instances: Mapping[str, Any]) -> Iterable[Metric]:
    calls = CounterMetricFamily("nightly_calls", "Calls to Flinks that were claimed.", labels=["instance"])
    text = "Outcomes of events and calls; an event can count under several outcomes."
    outcomes = CounterMetricFamily("nightly_outcomes", text, labels=["instance", "outcome"])
    for instance, numbers in instances.items():
        for outcome, count in (numbers.get("tally") or {}).items():
            if outcome == "calls":
                _add(calls, [instance], count)
            else:
                _add(outcomes, [instance, str(outcome)], count)
    return calls, outcomes


def _waiting_events(ways: Mapping[str, Any]) -> Iterable[Metric]:
    text = "Messages whose events are not recorded: on the stream, on Celery's queue, or set aside for a person."
    count = GaugeMetricFamily("nightly_waiting_events", text, labels=["way"])
    text = "How long the oldest of these messages has waited; absent if unknown."
    oldest = GaugeMetricFamily("nightly_waiting_oldest_seconds", text, labels=["way"])
    for way, numbers in ways.items():
        _add(count, [way], numbers.get("events"))
        _add(oldest, [way], numbers.get("oldest_seconds"))
    return count, oldest


def _dead_letters(instances: Mapping[str, Any], rejected: Mapping[str, Any]) -> Metric:
    """Return the open dead letters; those of rejected messages belong to no instance."""
    gauge = GaugeMetricFamily("nightly_dead_letters_open", "Open dead letters.", labels=["instance", "code"])
    open_letters = {name: numbers.get("dead_letters_open") or {} for name, numbers in instances.items()}
    for instance, by_code in (open_letters | {"": rejected}).items():
        counts: dict[str, float] = {}
        for code, count in by_code.items():
            label = _code_label(str(code)) if len(counts) < MAX_CODES else OTHER_CODE
            counts[label] = counts.get(label, 0) + float(count)
        for label, total in counts.items():
            gauge.add_metric([instance, label], total)
    return gauge


def _code_label(code: str) -> str:
    return code if _CODE.fullmatch(code) and scrub_text(code) == code else OTHER_CODE


def _single(family: GaugeMetricFamily | CounterMetricFamily, status: Mapping[str, Any], key: str) -> Metric:
    _add(family, [], status.get(key))
    return family


def _add(family: GaugeMetricFamily | CounterMetricFamily, labels: list[str], value: object) -> None:
    if isinstance(value, list):
        value = len(value)
    if isinstance(value, int | float):
        family.add_metric(labels, float(value))
