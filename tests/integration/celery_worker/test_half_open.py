"""Connections to Redis that went silent without being closed delay a worker for seconds, not forever."""

import time

import pytest

from sandbox.stack import EmbeddedRedis
from tests.integration.celery_worker.conftest import Nightly, cloud_event, long_form, new_logins
from tests.integration.celery_worker.stalling_proxy import StallingProxy
from tests.waiting import eventually

LIMIT_SECONDS = 25
"""The socket timeout is 10 s for the ledger, then 5 s for the broker. The rest is for a busy machine."""


@pytest.fixture
def redis_server(tcp_server: EmbeddedRedis) -> EmbeddedRedis:
    return tcp_server


@long_form
def test_half_open_sockets_are_given_up_within_seconds(nightly: Nightly, redis_server: EmbeddedRedis) -> None:
    with StallingProxy(redis_server.port) as proxy:
        nightly.stack.environment["REDIS_URL"] = redis_server.url_at(proxy.port)
        worker = nightly.stack.start_worker()
        first, second = new_logins(2)
        nightly.send([cloud_event(first, on=True, minute=0)])
        eventually(lambda: nightly.flags() == {first: True}, describe="a call before")
        assert proxy.stall() > 3
        began_at = time.monotonic()
        nightly.send([cloud_event(second, on=True, minute=0)])
        eventually(lambda: second in nightly.flags(), seconds=90, describe="a call after")
        took = time.monotonic() - began_at
        assert worker.is_running
        assert took < LIMIT_SECONDS
        nightly.stack.stop_process(worker)
