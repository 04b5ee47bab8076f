from http.client import HTTPConnection
from typing import Any

import pytest

from sandbox.emulator import remote
from sandbox.emulator.knobs import Latency
from sandbox.emulator.remote import EmulatorControl, EmulatorRefused


class FakeAnswer:
    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self._content = content

    def read(self) -> bytes:
        return self._content


class FakeConnection:
    """A stand-in for HTTPConnection that records its requests."""

    def __init__(self, answer: FakeAnswer) -> None:
        self.answer = answer
        self.sent: list[tuple[str, str, bytes | None]] = []

    def __call__(self, *_: object, **__: object) -> "FakeConnection":
        return self

    def request(self, method: str, path: str, body: bytes | None, **_: Any) -> None:
        self.sent.append((method, path, body))

    def getresponse(self) -> FakeAnswer:
        return self.answer

    def close(self) -> None:
        pass


def speaking_to(monkeypatch: pytest.MonkeyPatch, content: bytes, status: int = 200) -> FakeConnection:
    fake = FakeConnection(FakeAnswer(status, content))
    monkeypatch.setattr(remote, HTTPConnection.__name__, fake)
    return fake


def test_a_get_request_carries_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GET once sent `null` in a packet of its own: where that came late, a long response ended in a reset."""
    fake = speaking_to(monkeypatch, b"[]")
    EmulatorControl("http://127.0.0.1:1").fault_reports()
    assert fake.sent == [("GET", "/_emulator/faults", None)]


def test_a_typed_knob_and_a_plain_one_are_sent_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = speaking_to(monkeypatch, b"[]")
    control = EmulatorControl("http://127.0.0.1:1")
    control.faults(Latency(knob="latency", milliseconds=5))
    control.faults({"knob": "latency", "milliseconds": 5.0})
    assert fake.sent[0] == fake.sent[1]
    assert fake.sent[0][2] == b'[{"knob":"latency","milliseconds":5.0}]'


def test_a_refusal_raises_the_message_of_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    speaking_to(monkeypatch, b'{"errors":["first","second"]}', status=422)
    with pytest.raises(EmulatorRefused, match="first; second"):
        EmulatorControl("http://127.0.0.1:1").faults({"knob": "none such"})
