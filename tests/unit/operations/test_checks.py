from typing import Any

import pytest

from worker.operations import checks as doctor
from worker.operations import stream_checks
from worker.operations.checks import Check, Level

OPEN: dict[str, Any] = {"state": "open", "changed_at": None, "needs_action": False}
CLOSED: dict[str, Any] = {"state": "closed", "cause": "halt", "code": "ACCESS_DENIED", "http_status": "401"}
CLOSED |= {"needs_action": True}
STREAM: dict[str, Any] = {
    "stream_last_id": "5-0", "stream_ids_ahead_seconds": 0.0, "stream_is_closed": False, "stream_counts_entries": True,
    "stream_vanished": 0, "stream_vanished_at": None,
}  # fmt: skip
QUIET: dict[str, Any] = {
    "gate": OPEN, "due_live": 0, "due_backfill": 0, "waiting": 0, "in_flight": 0, "oldest_due_seconds": 0.0,
    "paused_seconds": 0,
}  # fmt: skip


def way(events: int | None, oldest_seconds: float | None) -> dict[str, Any]:
    return {"events": events, "unacknowledged": events, "oldest_seconds": oldest_seconds}


BEHIND = QUIET | {"due_live": 5, "oldest_due_seconds": 90.0}
LATE = QUIET | {"due_live": 5, "oldest_due_seconds": 601.0}


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (doctor.check_version({"redis_version": "6.2.20"}), Level.OK),
        (doctor.check_version({"redis_version": "6.2.14"}), Level.WARN),
        (doctor.check_version({"redis_version": "10.0"}), Level.OK),
        (doctor.check_version({"redis_version": "6.0.16"}), Level.FAIL),
        (doctor.check_version({}), Level.UNKNOWN),
        (doctor.check_role("master"), Level.OK),
        (doctor.check_role("slave"), Level.FAIL),
        (doctor.check_role(""), Level.UNKNOWN),
        (doctor.check_eviction("noeviction"), Level.OK),
        (doctor.check_eviction("allkeys-lru"), Level.FAIL),
        (doctor.check_eviction(None), Level.UNKNOWN),
        (doctor.check_persistence({}, None), Level.UNKNOWN),
        (doctor.check_persistence({"aof_enabled": 0}, None), Level.FAIL),
        (doctor.check_persistence({"aof_enabled": 0, "connected_slaves": 1}, None), Level.WARN),
        (doctor.check_persistence({"aof_enabled": 1, "aof_last_write_status": "err"}, "always"), Level.FAIL),
        (doctor.check_persistence({"aof_enabled": 1}, "no"), Level.WARN),
        (doctor.check_persistence({"aof_enabled": 1}, "everysec"), Level.OK),
        (doctor.check_persistence({"aof_enabled": 1}, None), Level.UNKNOWN),
        (doctor.check_memory(0, 0), Level.UNKNOWN),
        (doctor.check_memory(1, 0), Level.OK),
        (doctor.check_memory(50, 100), Level.OK),
        (doctor.check_memory(80, 100), Level.WARN),
        (doctor.check_memory(95, 100), Level.FAIL),
        (doctor.check_review_list(3, share=0.1, unkept=0), Level.OK),
        (doctor.check_review_list(3, share=0.1, unkept=5), Level.WARN),
        (doctor.check_review_list(3, share=0.9, unkept=5), Level.FAIL),
        (doctor.check_clock(-1.9), Level.OK),
        (doctor.check_clock(2.1), Level.WARN),
        (doctor.check_clock(-31), Level.FAIL),
        (doctor.check_ledger(is_begun=False, mismatch=""), Level.OK),
        (doctor.check_ledger(is_begun=True, mismatch="another key"), Level.FAIL),
        (doctor.check_kind(None, is_sandbox=False), Level.OK),
        (doctor.check_kind("production", is_sandbox=False), Level.OK),
        (doctor.check_kind("sandbox", is_sandbox=False), Level.FAIL),
        (doctor.check_kind("production", is_sandbox=True), Level.FAIL),
        (doctor.check_configuration("acme", ""), Level.OK),
        (doctor.check_configuration("acme", "proven"), Level.OK),
        (doctor.check_configuration("acme", "refused"), Level.FAIL),
        (doctor.check_configuration("acme", "unreachable"), Level.FAIL),
        (doctor.check_configuration("acme", "suspect"), Level.FAIL),
        (doctor.check_configuration("acme", "doubted"), Level.WARN),
        (doctor.check_gate("acme", OPEN), Level.OK),
        (doctor.check_gate("acme", CLOSED), Level.FAIL),
        (doctor.check_gate("acme", CLOSED | {"state": "half_open", "cause": "outage"}), Level.FAIL),
        (doctor.check_gate("acme", CLOSED | {"cause": "outage", "needs_action": False}), Level.WARN),
        (doctor.check_backlog("acme", QUIET, workers_alive=0), Level.OK),
        (doctor.check_backlog("acme", BEHIND, workers_alive=1), Level.WARN),
        (doctor.check_backlog("acme", LATE, workers_alive=1), Level.FAIL),
        (doctor.check_backlog("acme", LATE | {"gate": CLOSED}, workers_alive=1), Level.WARN),
        (doctor.check_workers({"w@h": 0.4}, has_work=True), Level.OK),
        (doctor.check_workers({"w@h": 0.4, "v@h": 30.0}, has_work=True), Level.WARN),
        (doctor.check_workers({"v@h": 30.0}, has_work=True), Level.FAIL),
        (doctor.check_workers({}, has_work=False), Level.WARN),
        (doctor.check_keys([]), Level.OK),
        (doctor.check_keys([{"key_id": "0badcafe", "since": 0, "seconds": 59.9}]), Level.WARN),
        (doctor.check_keys([{"key_id": "0badcafe", "since": 0, "seconds": 60.0}]), Level.FAIL),
        (doctor.check_excluded({"w@h": []}), Level.OK),
        (doctor.check_excluded({"w@h": ["acme"], "v@h": []}), Level.FAIL),
        (doctor.check_slots({}), Level.OK),
        (doctor.check_slots({"w@h": 1}), Level.WARN),
        (doctor.check_slots({"w@h": 1, "v@h": 2}), Level.OK),
        (stream_checks.check_queue("refresh", waiting=None, consumers=0), Level.WARN),
        (stream_checks.check_queue("refresh", waiting=0, consumers=0), Level.WARN),
        (stream_checks.check_queue("refresh", waiting=1, consumers=0), Level.FAIL),
        (stream_checks.check_queue("refresh", waiting=1, consumers=1), Level.OK),
        (stream_checks.check_ids(STREAM | {"stream_ids_ahead_seconds": 60.0}), Level.OK),
        (stream_checks.check_ids(STREAM | {"stream_ids_ahead_seconds": 61.0}), Level.WARN),
        (stream_checks.check_ids(STREAM | {"stream_ids_ahead_seconds": 9e15, "stream_is_closed": True}), Level.FAIL),
        (stream_checks.check_vanished(STREAM), Level.OK),
        (stream_checks.check_vanished(STREAM | {"stream_counts_entries": False}), Level.UNKNOWN),
        (stream_checks.check_vanished(STREAM | {"stream_counts_entries": False, "stream_last_id": "0-0"}), Level.OK),
        (stream_checks.check_vanished(STREAM | {"stream_vanished": 2, "stream_vanished_at": 1}), Level.WARN),
        (stream_checks.check_way("stream", way(0, None), workers_alive=0), Level.OK),
        (stream_checks.check_way("stream", way(3, 1), workers_alive=0), Level.FAIL),
        (stream_checks.check_way("stream", way(3, 1), workers_alive=1), Level.OK),
        (stream_checks.check_way("stream", way(3, 61), workers_alive=1), Level.WARN),
        (stream_checks.check_way("stream", way(3, 601), workers_alive=1), Level.FAIL),
        (stream_checks.check_way("queue", way(3, 1), workers_alive=0), Level.FAIL),
        (stream_checks.check_way("queue", way(3, 601), workers_alive=1), Level.WARN),
        (stream_checks.check_way("queue", way(3, None), workers_alive=1), Level.OK),
        (stream_checks.check_way("queue", way(None, None) | {"problem": "away"}, workers_alive=1), Level.FAIL),
    ],
)  # fmt: skip
def test_each_state_has_its_level(check: Check, level: Level) -> None:
    assert check.level is level


def test_valkey_is_shown_with_its_own_name_and_version() -> None:
    valkey = {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"}
    assert doctor.check_version(valkey).what == "Valkey 9.1.2"
    assert doctor.check_version({"redis_version": "8.4.0"}).what == "Redis 8.4.0"


def test_a_failed_check_gives_advice() -> None:
    closed = doctor.check_gate("acme", CLOSED)
    assert "ACCESS_DENIED (HTTP 401)" in closed.what
    assert "nightly gate open acme" in closed.advice
    assert "maxmemory-policy noeviction" in doctor.check_eviction("volatile-ttl").advice


def test_each_cause_of_a_closed_gate_has_its_own_advice() -> None:
    advice = {
        cause: doctor.check_gate("acme", CLOSED | {"cause": cause}).advice for cause in ("halt", "outage", "storm")
    }
    assert len(set(advice.values())) == 3
    assert "dead-letters replay --suspects" in advice["storm"]


def test_a_pause_requested_by_flinks_explains_a_backlog() -> None:
    assert "42 s" in doctor.check_backlog("acme", BEHIND | {"paused_seconds": 42.0}, workers_alive=1).advice


def test_a_missing_key_is_named_with_its_time_and_the_available_keys_are_listed() -> None:
    missing = doctor.check_keys([{"key_id": "0badcafe", "since": 1_700_000_000_000, "seconds": 70.0}])
    assert "0badcafe" in missing.what
    assert "2023-11-14 22:13:20 UTC" in missing.what
    at_hand = doctor.check_ledger(is_begun=True, mismatch="", key_ids=("11111111", "22222222"))
    assert "11111111, 22222222" in at_hand.what
