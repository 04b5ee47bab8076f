"""The control API: recorded calls, settings, and reset."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import httpx
import pytest

from sandbox.emulator.remote import EmulatorControl, EmulatorRefused
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID
from tests.integration.sandbox.emulator.calling import LOGIN, OTHER_CUSTOMER, SHORT_SECONDS, Client
from tests.waiting import eventually


def test_concurrent_calls_for_one_login_are_counted(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 300})
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(client.send, [LOGIN, LOGIN, "another"]))
    assert {answer.status_code for answer in answers} == {200}
    stats = emulator.stats()
    assert (stats.overlaps, stats.load.max_in_flight, stats.load.max_calls_per_second) == (1, 3, 3)
    assert sum(call.overlapped_seq is not None for call in emulator.calls()) == 1


def test_a_client_that_disconnected_is_no_longer_in_flight(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 800, "times": 1})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().load.in_flight == 0)
    assert client.send(wish=False).status_code == 200
    assert emulator.stats().overlaps == 0
    eventually(lambda: emulator.stats().late_writes_pending == 0)


def test_calls_are_listed_from_the_position_of_the_last_read(client: Client, emulator: EmulatorControl) -> None:
    for number in range(5):
        client.send(str(number), wish=number % 2 == 0)
    seen = emulator.calls(since=2)
    assert [(call.seq, call.login_id, call.wish) for call in seen] == [(3, "2", True), (4, "3", False), (5, "4", True)]
    assert all(call.status == 200 and call.committed_at and call.ending == "answered" for call in seen)


def test_faults_are_added_listed_and_removed_one_by_one(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "retry_later", "times": 1})
    first, second = emulator.add_faults({"knob": "server_error", "status": 504})
    assert [client.send().status_code for _ in range(2)] == [401, 504]
    assert [report.fired for report in emulator.fault_reports()] == [1, 1]
    emulator.lift_fault(second.id)
    assert [report.id for report in emulator.fault_reports()] == [first.id]
    assert client.send().status_code == 200
    with pytest.raises(EmulatorRefused, match="no fault has the number"):
        emulator.lift_fault(second.id)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"knob": "no_such_knob"}, "the knobs are: .*commit_then_timeout.*wrong_login"),
        ({"knob": "reset", "surprise": 1}, "surprise: is not a parameter; reset takes: .*probability"),
        ({"knob": "latency"}, "milliseconds: Field required"),
    ],
)
def test_a_wrong_fault_is_refused_by_name_and_has_no_effect(
    emulator: EmulatorControl, fault: dict[str, Any], words: str
) -> None:
    with pytest.raises(EmulatorRefused, match=words):
        emulator.faults({"knob": "outage"}, fault)
    assert emulator.fault_reports() == []


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (lambda emulator: emulator.accept_keys("key", customer_id=OTHER_CUSTOMER), "no such customer"),
        (lambda emulator: emulator.invalid_login_status(404), "400 or 401"),
        (lambda emulator: emulator.calls(since=-1), "since"),
    ],
)
def test_a_wrong_control_request_is_refused(
    emulator: EmulatorControl, order: Callable[[EmulatorControl], object], words: str
) -> None:
    with pytest.raises(EmulatorRefused, match=words):
        order(emulator)


def test_a_reset_forgets_everything(client: Client, emulator: EmulatorControl) -> None:
    emulator.accept_keys("key")
    emulator.known_logins([])
    emulator.faults({"knob": "outage"})
    client.send()
    emulator.reset()
    assert emulator.state() == {DEFAULT_CUSTOMER_ID: {}}
    assert (emulator.calls(), emulator.fault_reports()) == ([], [])
    assert asdict(emulator.stats().load) | {"calls": 0} == dict.fromkeys(asdict(emulator.stats().load), 0)
    assert client.send().status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:8080"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Origin": "https://page.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_web_page_in_a_local_browser_can_neither_control_nor_read(
    client: Client, emulator: EmulatorControl, headers: dict[str, str]
) -> None:
    client.send()
    for method, path in (("POST", "/reset"), ("GET", "/calls"), ("PUT", "/keys")):
        answer = client.http.request(method, f"/_emulator{path}", headers=headers, content='{"keys": []}')
        assert answer.status_code == 403
        assert LOGIN not in answer.text
    assert [call.login_id for call in emulator.calls()] == [LOGIN]
    assert client.send().status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8090", "[::1]:8090"])
def test_the_control_api_answers_to_the_names_of_loopback(client: Client, host: str) -> None:
    assert client.http.get("/_emulator/health", headers={"Host": host}).status_code == 200
