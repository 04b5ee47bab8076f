"""`rediss://` with real TLS: ledger, Celery and doctor verify the server."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis
from sandbox.stack.ports import free_port
from tests.brief_stack import BriefStack
from tests.chaos.links import Links
from tests.integration.certificates import speaking_tls, write_certificate
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.events.publisher import publish
from worker.redis_client.connect import connect
from worker.redis_client.error_messages import trouble_of
from worker.redis_client.in_loop import run_in_loop


@pytest.fixture
def redis_server(tcp_server: EmbeddedRedis) -> EmbeddedRedis:
    return tcp_server


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path / "server.pem", "localhost", "127.0.0.1")


@pytest.fixture
def tls_port(redis_server: EmbeddedRedis, redis_url: str, certificate: Path) -> Iterator[int]:
    """A port that ends TLS in front of a Redis."""
    assert redis_url
    port = free_port()
    with Links() as links:
        links.open(("127.0.0.1", port), ("127.0.0.1", redis_server.port), tls=speaking_tls(certificate))
        yield port


def _ping_as_celery(url: str) -> None:
    broker, options = kombu_address(url)
    app = Celery(broker=broker, set_as_current=False)
    app.conf.broker_transport_options = options
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
        assert connection.default_channel.client.ping()


def test_an_event_loop_reads_large_replies_over_tls(
    tls_port: int, redis_server: EmbeddedRedis, certificate: Path
) -> None:
    url = f"rediss://:{redis_server.password}@127.0.0.1:{tls_port}/0?ssl_ca_certs={certificate}"
    with connect(url) as client:
        client.set("large", b"x" * 1_000_000)
        commands = ("BLPOP", "nothing", 0.05), ("GET", "large")
        for _ in range(3):
            _, large = asyncio.run(run_in_loop(client, *commands, threads=None, wait_seconds=1))
            assert len(large) == 1_000_000


def test_both_clients_trust_the_authority_that_the_url_names(
    tls_port: int, redis_server: EmbeddedRedis, certificate: Path
) -> None:
    url = f"rediss://:{redis_server.password}@127.0.0.1:{tls_port}/0?ssl_ca_certs={certificate}"
    with connect(url) as client:
        assert client.ping()
    _ping_as_celery(url)


def test_both_clients_refuse_a_certificate_of_another_authority(
    tls_port: int, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    other = write_certificate(tmp_path / "other.pem", "localhost", "127.0.0.1")
    for query in (f"?ssl_ca_certs={other}", ""):
        url = f"rediss://:{redis_server.password}@127.0.0.1:{tls_port}/0{query}"
        with connect(url) as client, pytest.raises(redis.ConnectionError) as caught:
            client.ping()
        told = str(trouble_of(caught.value, url))
        assert told.startswith(f"No secure connection to Redis at 127.0.0.1:{tls_port}: the TLS handshake failed.")
        with pytest.raises(Exception, match=r"(?i)certificate verify failed"):
            _ping_as_celery(url)


def test_a_worker_works_and_the_doctor_passes_over_tls(
    tls_port: int,
    redis_server: EmbeddedRedis,
    certificate: Path,
    tmp_path: Path,
    emulator: EmulatorControl,
    login_keys: str,
) -> None:
    url = f"rediss://:{redis_server.password}@127.0.0.1:{tls_port}/0?ssl_ca_certs={certificate}"
    overrides = {
        "REDIS_URL": url,
        "LOGIN_KEYS": login_keys,
        "FLINKS_BASE_URL": emulator.base_url,
        "FLINKS_AUTH_KEY": "key",
    }
    with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides) as stack:
        publish("linked", login_id="over-tls", redis_url=url)
        eventually(lambda: emulator.stats().load.calls == 1, seconds=20, describe="the call")
        command = [sys.executable, "-m", "worker", "doctor"]
        done = subprocess.run(command, env=stack.environment, cwd=stack.folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()
