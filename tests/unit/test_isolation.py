import asyncio
import os
import socket

import pytest

from worker.config.settings import Settings
from worker.config.unknown_names import OWN_PREFIXES


def test_a_unit_test_that_opens_a_connection_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="tests/integration"):
        socket.create_connection(("127.0.0.1", 9))
    with socket.socket() as server, pytest.raises(pytest.fail.Exception, match="tests/integration"):
        server.bind(("127.0.0.1", 0))


def test_an_event_loop_needs_no_network() -> None:
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_tests_do_not_see_the_settings_of_the_developer() -> None:
    ours = {name.upper() for name in Settings.model_fields}

    assert not [name for name in os.environ if name in ours or name.startswith(OWN_PREFIXES)]
    assert not os.path.lexists(".env")
