"""The emulator over real HTTP: its contract, every fault as a client sees it, its control API, its start and stop."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from emulator.knobs import Outage
from emulator.remote import EmulatorControl, EmulatorRefused
from emulator.state import DEFAULT_CUSTOMER_ID
from tests.conftest import ROOT
from tests.waiting import eventually

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
OTHER_CUSTOMER = "11111111-1111-4111-8111-111111111111"
SHORT_SECONDS = 0.25


def path(customer_id: str = DEFAULT_CUSTOMER_ID, name: str = "SetScheduledRefresh") -> str:
    return f"/v3/{customer_id}/BankingServices/{name}"


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], EmulatorControl]]:
    """An emulator of the test's own, for what concerns the process and its options."""
    command = [sys.executable, "-m", "emulator", *arguments]
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environ, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, EmulatorControl(json.loads(process.stdout.readline())["listening"])
        finally:
            process.kill()


class Client:
    """Calls the endpoint as a worker would; `set` returns the answer, or the transport error's class."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=10, trust_env=False)

    def send(self, login_id: str = LOGIN, wish: bool = True, **options: Any) -> httpx.Response:  # noqa: FBT001, FBT002 - a wish
        body = {"loginId": login_id, "isActivated": wish}
        return self.http.patch(options.pop("path", path()), json=body, **options)

    def error(self, login_id: str = LOGIN, **options: Any) -> type[Exception]:
        with pytest.raises(httpx.TransportError) as caught:
            self.send(login_id, **options)
        return caught.type


@pytest.fixture
def client(emulator: EmulatorControl) -> Iterator[Client]:
    made = Client(emulator.base_url)
    with made.http:
        yield made


def flag(emulator: EmulatorControl, login_id: str = LOGIN) -> bool | None:
    found = emulator.state()[DEFAULT_CUSTOMER_ID].get(login_id)
    return None if found is None else found.is_activated


def test_a_flag_goes_on_and_off_and_the_answer_is_a_json_string(client: Client, emulator: EmulatorControl) -> None:
    assert client.send(wish=True).json() == f"LoginId {LOGIN} has now been activated for automatic refresh"
    assert flag(emulator) is True
    assert client.send(wish=False).json() == f"LoginId {LOGIN} has now been deactivated for automatic refresh"
    written = emulator.state()[DEFAULT_CUSTOMER_ID][LOGIN]
    assert (written.is_activated, written.writes, written.seq) == (False, 2, 2)


def test_a_request_without_a_boolean_is_an_invalid_request(client: Client, emulator: EmulatorControl) -> None:
    answer = client.http.patch(path(), json={"loginId": LOGIN, "isActivated": "true"})
    assert (answer.status_code, answer.json()["FlinksCode"]) == (400, "INVALID_REQUEST")
    assert flag(emulator) is None


@pytest.mark.parametrize("body", [{"isActivated": False}, {"loginId": "", "isActivated": False}])
def test_a_request_that_names_no_login_is_an_invalid_login(
    client: Client, emulator: EmulatorControl, body: dict[str, Any]
) -> None:
    assert client.http.patch(path(), json=body).json()["FlinksCode"] == "INVALID_LOGIN"
    assert emulator.stats().committed_writes == 0


@pytest.mark.parametrize("status", [400, 401])
def test_an_unknown_login_is_an_invalid_login(client: Client, emulator: EmulatorControl, status: int) -> None:
    emulator.unknown_logins(LOGIN)
    emulator.invalid_login_status(status)
    answer = client.send()
    assert (answer.status_code, answer.json()["FlinksCode"]) == (status, "INVALID_LOGIN")
    assert answer.json()["HttpStatusCode"] == status
    assert client.send("another").status_code == 200


def test_at_a_wrong_customer_every_login_is_invalid(client: Client) -> None:
    assert client.send(path=path(OTHER_CUSTOMER)).json()["FlinksCode"] == "INVALID_LOGIN"


def test_a_wrong_key_is_refused_until_it_is_put_right(client: Client, emulator: EmulatorControl) -> None:
    emulator.accept_keys("the-new-key")
    stale = client.send(headers={"flinks-auth-key": "the-old-key"})
    assert (stale.status_code, stale.json()["FlinksCode"]) == (401, "ACCESS_DENIED")
    assert client.send(headers={"flinks-auth-key": "the-new-key"}).status_code == 200
    emulator.accept_keys()
    assert client.send(headers={"flinks-auth-key": "the-old-key"}).status_code == 200


def test_other_methods_and_paths_are_refused_as_such(client: Client) -> None:
    refused = client.http.post(path(), json={"loginId": LOGIN, "isActivated": True})
    assert (refused.status_code, refused.headers["allow"]) == (405, "PATCH")
    assert client.http.patch("/v3/elsewhere").status_code == 404


def test_the_nightly_status_lists_the_cards_it_was_given(client: Client, emulator: EmulatorControl) -> None:
    audit = path(name="GetNightlyRefreshStatus")
    bearer = {"Authorization": "Bearer secret"}
    assert client.http.get(audit).status_code == 401
    assert client.http.get(audit, headers=bearer).json() == {"HttpStatusCode": 200, "IneligibleCards": []}
    emulator.nightly_status({"LoginId": LOGIN}, message="a message", flinks_code="A_CODE")
    document = client.http.get(audit, headers=bearer).json()
    assert document["IneligibleCards"][0]["LoginId"] == LOGIN
    assert document["IneligibleCards"][0]["LastRefreshErrorCode"] is None
    assert (document["Message"], document["FlinksCode"]) == ("a message", "A_CODE")


def test_an_answer_that_times_out_was_written_all_the_same(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "commit_then_timeout"})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    assert flag(emulator) is True
    eventually(lambda: emulator.stats().by_ending == {"client_left": 1})


def test_a_late_write_lands_after_the_client_left_and_over_a_newer_one(
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


def test_a_refused_request_writes_nothing_late_either(client: Client, emulator: EmulatorControl) -> None:
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


def test_a_client_that_leaves_a_slow_call_does_not_stop_its_write(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 600})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    assert flag(emulator) is None
    eventually(lambda: flag(emulator) is True)
    (call,) = emulator.calls()
    assert (call.ending, call.status) == ("client_left", None)


def test_a_delay_is_kept(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 120})
    client.send()
    (call,) = emulator.calls()
    assert call.ended_monotonic is not None
    assert call.ended_monotonic - call.started_monotonic >= 0.12


@pytest.mark.parametrize("commits", [False, True])
def test_a_reset_comes_before_or_after_the_write(client: Client, emulator: EmulatorControl, *, commits: bool) -> None:
    emulator.faults({"knob": "reset", "commits": commits})
    with pytest.raises(httpx.ReadError, match="reset by peer"):
        client.send()
    assert flag(emulator) is (True if commits else None)


def test_an_outage_that_refuses_closes_the_connection(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults(Outage(knob="outage", mode="refuse"))
    assert client.error() is httpx.RemoteProtocolError
    emulator.faults()
    assert client.send().status_code == 200


def test_an_outage_ends_by_itself(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "outage", "for_seconds": 0.3})
    assert client.send().status_code == 503
    eventually(lambda: client.send().status_code == 200, seconds=3)


def test_a_body_that_is_cut_short_is_a_protocol_error(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "truncated_http"})
    assert client.error() is httpx.RemoteProtocolError


def test_half_a_json_text_comes_in_a_complete_answer(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "truncated_json"})
    with pytest.raises(ValueError, match="Unterminated"):
        client.send().json()


def test_a_slow_body_outlasts_the_timeout_of_each_read(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "slow_body", "step_ms": 10, "bytes_per_step": 4})
    with client.http.stream("PATCH", path(), json={"loginId": LOGIN, "isActivated": True}, timeout=0.2) as answer:
        chunks = list(answer.iter_raw())
    assert len(chunks) > 5
    assert json.loads(b"".join(chunks)).startswith(f"LoginId {LOGIN} has now been activated")


def test_a_client_may_leave_in_the_middle_of_a_slow_body(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "slow_body", "step_ms": 400})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().by_ending == {"client_left": 1})


def test_retry_after_is_a_date_that_lies_ahead(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "rate_limited", "retry_after": "http_date", "seconds": 30})
    answer = client.send()
    ahead = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(answer.headers["date"])
    assert (answer.status_code, 28 <= ahead.total_seconds() <= 31) == (429, True)


@pytest.mark.parametrize(("knob", "status"), [("html_502", 502), ("html_403", 403), ("redirect", 302)])
def test_answers_that_are_not_flinks_own(client: Client, emulator: EmulatorControl, knob: str, status: int) -> None:
    emulator.faults({"knob": knob})
    answer = client.send()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html") or "location" in answer.headers
    assert flag(emulator) is None


def test_two_calls_for_one_login_at_once_are_counted(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 300})
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(client.send, [LOGIN, LOGIN, "another"]))
    assert {answer.status_code for answer in answers} == {200}
    stats = emulator.stats()
    assert (stats.overlaps, stats.load.max_in_flight, stats.load.max_calls_per_second) == (1, 3, 3)
    assert sum(call.overlapped_seq is not None for call in emulator.calls()) == 1


def test_a_client_that_left_is_no_longer_in_flight(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "latency", "milliseconds": 800, "times": 1})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().load.in_flight == 0)
    assert client.send(wish=False).status_code == 200
    assert emulator.stats().overlaps == 0
    eventually(lambda: emulator.stats().late_writes_pending == 0)


def test_calls_are_listed_from_where_the_reader_stopped(client: Client, emulator: EmulatorControl) -> None:
    for number in range(5):
        client.send(str(number), wish=number % 2 == 0)
    seen = emulator.calls(since=2)
    assert [(call.seq, call.login_id, call.wish) for call in seen] == [(3, "2", True), (4, "3", False), (5, "4", True)]
    assert all(call.status == 200 and call.committed_at and call.ending == "answered" for call in seen)


def test_faults_are_added_listed_and_lifted_one_by_one(client: Client, emulator: EmulatorControl) -> None:
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
def test_a_wrong_fault_is_refused_by_name_and_sets_nothing(
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
def test_a_wrong_order_is_refused(
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


def test_each_customer_has_logins_and_keys_of_its_own() -> None:
    arguments = ("--customer", DEFAULT_CUSTOMER_ID, "--customer", OTHER_CUSTOMER.upper(), "--auth-key", "key")
    with started(*arguments) as (_, emulator):
        emulator.known_logins(["canadian"], customer_id=DEFAULT_CUSTOMER_ID)
        emulator.known_logins(["american"], customer_id=OTHER_CUSTOMER)
        emulator.accept_keys("us-key", customer_id=OTHER_CUSTOMER)
        client = Client(emulator.base_url)
        codes = {
            (customer, login, key): client.send(
                login, path=path(customer), headers={"flinks-auth-key": key}
            ).status_code
            for customer in (DEFAULT_CUSTOMER_ID, OTHER_CUSTOMER)
            for login in ("canadian", "american")
            for key in ("key", "us-key")
        }
        client.http.close()
    assert {call for call, status in codes.items() if status == 200} == {
        (DEFAULT_CUSTOMER_ID, "canadian", "key"),
        (OTHER_CUSTOMER, "american", "us-key"),
    }
    assert set(codes.values()) == {200, 400, 401}


def test_the_environment_stands_in_for_options() -> None:
    options = {"EMULATOR_AUTH_KEYS": "one, two", "EMULATOR_CUSTOMER_IDS": OTHER_CUSTOMER}
    with started(**options) as (_, emulator):
        client = Client(emulator.base_url)
        assert client.send(path=path(OTHER_CUSTOMER), headers={"flinks-auth-key": "two"}).status_code == 200
        assert client.send(path=path(OTHER_CUSTOMER)).status_code == 401
        client.http.close()
        assert list(emulator.state()) == [OTHER_CUSTOMER]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_code_0_though_a_call_is_kept_silent(number: signal.Signals) -> None:
    with started() as (process, emulator):
        emulator.faults({"knob": "commit_then_timeout"})
        with socket.create_connection(("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))) as silent:
            body = json.dumps({"loginId": LOGIN, "isActivated": True})
            head = (
                f"PATCH {path()} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            )
            silent.sendall(f"{head}\r\n\r\n{body}".encode())
            eventually(lambda: emulator.stats().load.in_flight == 1)
            process.send_signal(number)
            assert process.wait(3) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_taken_port_is_an_error_and_no_address_is_printed(emulator: EmulatorControl) -> None:
    port = emulator.base_url.rpartition(":")[2]
    command = [sys.executable, "-m", "emulator", "--port", port]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, env=environ, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "address already in use" in ended.stderr


def test_bytes_that_are_no_http_get_a_400_and_do_no_harm(client: Client, emulator: EmulatorControl) -> None:
    with socket.create_connection(("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))) as raw:
        raw.sendall(b"\x00\x01 nonsense\r\n\r\n")
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 400
        answer.close()
    assert client.send().status_code == 200
