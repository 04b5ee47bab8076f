"""The emulator as a process: its options, its end, and unexpected input on its port."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID
from tests.integration.sandbox.emulator.calling import LOGIN, OTHER_CUSTOMER, Client, path
from tests.places import ROOT
from tests.waiting import eventually


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], EmulatorControl]]:
    """A separate emulator, for tests of the process and its options."""
    command = [sys.executable, "-m", "sandbox.emulator", *arguments]
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | environ
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environ, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, EmulatorControl(json.loads(process.stdout.readline())["listening"])
        finally:
            process.kill()


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


def test_environment_variables_replace_options() -> None:
    options = {"EMULATOR_AUTH_KEYS": "one, two", "EMULATOR_CUSTOMER_IDS": OTHER_CUSTOMER}
    with started(**options) as (_, emulator):
        client = Client(emulator.base_url)
        assert client.send(path=path(OTHER_CUSTOMER), headers={"flinks-auth-key": "two"}).status_code == 200
        assert client.send(path=path(OTHER_CUSTOMER)).status_code == 401
        client.http.close()
        assert list(emulator.state()) == [OTHER_CUSTOMER]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_emulator_at_once_with_code_0_during_a_silent_call(number: signal.Signals) -> None:
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
            assert process.wait(20) == 0  # the call would stay silent for ever
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_taken_port_is_an_error_and_no_address_is_printed(emulator: EmulatorControl) -> None:
    port = emulator.base_url.rpartition(":")[2]
    command = [sys.executable, "-m", "sandbox.emulator", "--port", port]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, env=environ, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "address already in use" in ended.stderr


def test_bytes_that_are_not_http_get_a_400_and_do_no_harm(client: Client, emulator: EmulatorControl) -> None:
    with socket.create_connection(("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))) as raw:
        raw.sendall(b"\x00\x01 nonsense\r\n\r\n")
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 400
        answer.close()
    assert client.send().status_code == 200
