"""Every fault as a client sees it."""

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from sandbox.emulator.knobs import Outage
from sandbox.emulator.remote import EmulatorControl
from tests.integration.sandbox.emulator.calling import LOGIN, SHORT_SECONDS, Client, flag, path
from tests.waiting import eventually


def test_a_delay_is_observed(client: Client, emulator: EmulatorControl) -> None:
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


def test_a_truncated_json_text_comes_in_a_complete_response(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "truncated_json"})
    with pytest.raises(ValueError, match="Unterminated"):
        client.send().json()


def test_a_slow_body_outlasts_the_timeout_of_each_read(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "slow_body", "step_ms": 10, "bytes_per_step": 4})
    with client.http.stream("PATCH", path(), json={"loginId": LOGIN, "isActivated": True}, timeout=0.2) as answer:
        chunks = list(answer.iter_raw())
    assert len(chunks) > 5
    assert json.loads(b"".join(chunks)).startswith(f"LoginId {LOGIN} has now been activated")


def test_a_client_may_disconnect_in_the_middle_of_a_slow_body(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "slow_body", "step_ms": 400})
    assert client.error(timeout=SHORT_SECONDS) is httpx.ReadTimeout
    eventually(lambda: emulator.stats().by_ending == {"client_left": 1})


def test_retry_after_is_a_date_that_lies_ahead(client: Client, emulator: EmulatorControl) -> None:
    emulator.faults({"knob": "rate_limited", "retry_after": "http_date", "seconds": 30})
    answer = client.send()
    ahead = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(answer.headers["date"])
    assert (answer.status_code, 28 <= ahead.total_seconds() <= 31) == (429, True)


@pytest.mark.parametrize(("knob", "status"), [("html_502", 502), ("html_403", 403), ("redirect", 302)])
def test_responses_of_proxies_and_gateways_are_emulated(
    client: Client, emulator: EmulatorControl, knob: str, status: int
) -> None:
    emulator.faults({"knob": knob})
    answer = client.send()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html") or "location" in answer.headers
    assert flag(emulator) is None
