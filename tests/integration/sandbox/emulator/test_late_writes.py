"""The time of a write: before its response, after the client has disconnected, or never."""

import httpx

from sandbox.emulator.remote import EmulatorControl
from tests.integration.sandbox.emulator.calling import LOGIN, SHORT_SECONDS, Client, flag
from tests.waiting import eventually


def test_a_call_that_times_out_is_written_nevertheless(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "commit_then_timeout"})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    assert flag(emulator) is True
    eventually(lambda: emulator.stats().by_ending == {"client_left": 1})


def test_a_late_write_lands_after_the_client_disconnected_and_overwrites_a_newer_one(
    client: Client, emulator: EmulatorControl
) -> None:
    emulator.faults({"knob": "timeout_then_commit_late", "late_ms": 300, "times": 1})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    assert client.send(wish=False).status_code == 200
    assert emulator.stats().late_writes_pending == 1
    eventually(lambda: emulator.stats().late_writes == 1)
    late, prompt = emulator.calls()
    assert flag(emulator) is True
    assert late.ended_monotonic is not None
    assert late.committed_monotonic is not None
    assert prompt.committed_monotonic is not None
    assert late.committed_monotonic - late.ended_monotonic >= 0.3
    assert late.committed_monotonic > prompt.committed_monotonic
    assert emulator.stats().late_writes_pending == 0


def test_a_refused_request_causes_no_late_write(client: Client, emulator: EmulatorControl) -> None:
    emulator.unknown_logins(LOGIN)
    emulator.faults({"knob": "timeout_then_commit_late", "late_ms": 0, "times": 1})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().load.in_flight == 0)
    assert client.send("another").status_code == 200
    assert emulator.stats().committed_writes == 1
    assert flag(emulator) is None


def test_a_late_write_waits_for_the_delay_and_then_its_own_time(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 400}, {"knob": "timeout_then_commit_late", "late_ms": 300})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().late_writes == 1)
    (call,) = emulator.calls()
    assert call.committed_monotonic is not None
    assert call.committed_monotonic - call.started_monotonic >= 0.7


def test_a_client_that_disconnects_from_a_slow_call_does_not_stop_its_write(
    client: Client, emulator: EmulatorControl
) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 600})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    assert flag(emulator) is None
    eventually(lambda: flag(emulator) is True)
    (call,) = emulator.calls()
    assert (call.ending, call.status) == ("client_left", None)
