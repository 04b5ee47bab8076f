"""Unit tests open no socket: a test that tries to fails with this reason."""

import socket
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        pytest.fail("a unit test tried to use the network; it belongs in tests/integration")

    for name in ("connect", "connect_ex", "bind", "sendto"):  # asyncio needs socketpair, which uses none of these
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
