import os
import socket

import pytest

from sandbox.stack import ports
from worker.errors import EmbeddedStackError


def test_a_taken_port_is_refused_with_its_holder_and_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "FREED_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(EmbeddedStackError, match=f"Port {port} for Redis is taken by process {os.getpid()} .*Stop"):
            ports.check_free({"the page": 0, "Redis": port}, "Stop it.")
    ports.check_free({"Redis": port}, "")


def test_a_holder_that_the_system_does_not_show_is_called_another_program() -> None:
    assert ports.holder_of(0) == "another program, whose process this user may not see"
