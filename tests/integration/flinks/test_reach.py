"""Connections to Flinks over real sockets: names, ports, certificates."""

import asyncio
import socket
import ssl
import threading
import time
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.misbehaving import (
    APPLIED,
    CONFIRMED,
    answering,
    ask,
    closing_after,
    free_port,
    read_request,
    reply,
    serving,
    silent,
    verdict_at,
)
from worker.flinks.client import FlinksClient
from worker.flinks.outcome import Outcome, Verdict


@pytest.fixture(autouse=True)
def _no_proxy_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_closed_port_is_a_connection_failure_and_not_ambiguous() -> None:
    assert verdict_at(f"http://127.0.0.1:{free_port()}") == Verdict(Outcome.TRANSIENT, "connect_failed", is_down=True)


def test_a_server_that_accepts_no_connection_is_a_timeout_before_sending() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        began = time.monotonic()
        verdict = verdict_at(f"http://127.0.0.1:{full.getsockname()[1]}", timeout_seconds=5)
        for filler in fillers:
            filler.close()
    assert verdict == Verdict(Outcome.TRANSIENT, "timeout", is_down=True)
    assert time.monotonic() - began < 4.9, "connecting may take half of the time"


def test_a_call_that_waits_too_long_for_a_free_connection_is_not_sent_and_is_no_sign_of_an_outage() -> None:
    """It used to be a timeout, as if Flinks accepted no connection: charged, and a sign of an outage."""

    async def main() -> list[Verdict | None]:
        async with serving(silent) as port, FlinksClient(max_connections=1) as client:
            not_after = time.monotonic() + 0.3
            calls = [
                ask(client, f"http://127.0.0.1:{port}", timeout_seconds=0.6, not_after=not_after) for _ in range(2)
            ]
            return list(await asyncio.gather(*calls))

    assert asyncio.run(main()) == [Verdict(Outcome.TRANSIENT, "timeout", is_ambiguous=True, is_down=True), None]


def test_the_wait_for_a_free_connection_does_not_count_as_call_time() -> None:
    async def slow(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(0.4)
            writer.write(reply(CONFIRMED))

    async def main() -> list[Verdict | None]:
        async with serving(slow) as port, FlinksClient(max_connections=1) as client:
            calls = [ask(client, f"http://127.0.0.1:{port}", timeout_seconds=0.7) for _ in range(3)]
            return list(await asyncio.gather(*calls))

    assert asyncio.run(main()) == [APPLIED] * 3


def test_a_silent_instance_uses_no_connection_of_another_instance() -> None:
    async def main() -> Verdict | None:
        arrived = asyncio.Event()

        async def stuck(reader: Reader, writer: Writer) -> None:
            await read_request(reader)
            arrived.set()
            await silent(reader, writer)

        async with (
            serving(stuck) as slow,
            serving(answering(reply(CONFIRMED))) as healthy,
            FlinksClient(max_connections=1) as client,
        ):
            call = asyncio.create_task(ask(client, f"http://127.0.0.1:{slow}", timeout_seconds=15))
            await arrived.wait()
            verdict = await ask(client, f"http://127.0.0.1:{healthy}", timeout_seconds=1)
            assert not call.done()
            call.cancel()
            return verdict

    assert asyncio.run(main()) == APPLIED


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (socket.EAI_NONAME, Verdict(Outcome.TRANSIENT, "name_not_found", is_unreachable=True, is_down=True)),
        (socket.EAI_AGAIN, Verdict(Outcome.TRANSIENT, "connect_failed", is_down=True)),
    ],
)
def test_an_unknown_host_name_is_distinguished_from_a_silent_name_server(
    monkeypatch: pytest.MonkeyPatch, reason: int, verdict: Verdict
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(reason, "as a resolver says it")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert verdict_at("https://no-such-api.private.fin.ag") == verdict


def test_an_impossible_address_is_unreachable() -> None:
    assert verdict_at("https://127.0.0.1:99999").is_unreachable
    assert verdict_at("https://a b").is_unreachable


async def ask_as_a_drain_does(client: FlinksClient, url: str) -> Verdict | None:
    await asyncio.to_thread(time.sleep, 0)  # the claim lets the loop process its sockets
    return await asyncio.create_task(ask(client, url))


def test_a_connection_closed_while_the_event_loop_was_blocked_is_not_reused() -> None:
    listening, closed = threading.Event(), threading.Event()
    ports: list[int] = []

    async def answering_once(reader: Reader, writer: Writer) -> None:
        await closing_after(reply(CONFIRMED))(reader, writer)
        await asyncio.get_running_loop().run_in_executor(None, still.wait)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def serve() -> None:
        async with serving(answering_once) as port:
            ports.append(port)
            listening.set()
            await asyncio.get_running_loop().run_in_executor(None, done.wait)

    still, done = threading.Event(), threading.Event()
    server = threading.Thread(target=asyncio.run, args=[serve()])
    server.start()
    try:
        assert listening.wait(5)
        with asyncio.Runner() as slices:
            client = slices.run(FlinksClient(max_connections=4).__aenter__())
            first = slices.run(ask(client, f"http://127.0.0.1:{ports[0]}"))
            still.set()
            assert closed.wait(5)
            second = slices.run(ask_as_a_drain_does(client, f"http://127.0.0.1:{ports[0]}"))
            slices.run(client.__aexit__())
    finally:
        still.set()
        done.set()
        server.join(5)
    assert (first, second) == (APPLIED, APPLIED)


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1")

    @staticmethod
    def verdict_over(tls: ssl.SSLContext, host: str = "127.0.0.1") -> Verdict | None:
        async def main() -> Verdict | None:
            async with serving(answering(reply(CONFIRMED)), tls) as port, FlinksClient(max_connections=4) as client:
                return await ask(client, f"https://{host}:{port}")

        return asyncio.run(main())

    def test_an_untrusted_certificate_stops_the_call(self, certificate: Path) -> None:
        verdict = self.verdict_over(speaking_tls(certificate))
        assert verdict == Verdict(Outcome.TRANSIENT, "tls_failure", is_unreachable=True, is_down=True)

    def test_a_private_certificate_authority_is_trusted_through_ssl_cert_file(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert self.verdict_over(speaking_tls(certificate)) == APPLIED

    def test_a_certificate_for_another_name_stops_the_call(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        verdict = self.verdict_over(speaking_tls(certificate), host="localhost")
        assert verdict == Verdict(Outcome.TRANSIENT, "tls_failure", is_unreachable=True, is_down=True)

    def test_a_server_without_tls_is_a_tls_failure(self) -> None:
        async def main() -> Verdict | None:
            async with serving(plain) as port, FlinksClient(max_connections=4) as client:
                return await ask(client, f"https://127.0.0.1:{port}")

        async def plain(reader: Reader, writer: Writer) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        assert asyncio.run(main()) == Verdict(Outcome.TRANSIENT, "tls_failure", is_unreachable=True, is_down=True)

    def test_a_tls_handshake_that_never_ends_means_that_no_request_was_sent(self) -> None:
        async def main() -> Verdict | None:
            async with serving(silent) as port, FlinksClient(max_connections=4) as client:
                return await ask(client, f"https://127.0.0.1:{port}", timeout_seconds=0.6)

        assert asyncio.run(main()) == Verdict(Outcome.TRANSIENT, "timeout", is_down=True)
