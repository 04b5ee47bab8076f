"""A company's proxy between us and Flinks: used as httpx would use it, and without any secret."""

import asyncio
import contextlib
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from pathlib import Path

import pytest

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.misbehaving import (
    APPLIED,
    CONFIRMED,
    Handler,
    answering,
    ask,
    free_port,
    reply,
    serving,
    verdict_at,
    verdict_of,
)
from worker.errors import SettingsError
from worker.flinks.client import FlinksClient
from worker.flinks.outcome import Outcome, Verdict


@pytest.fixture(autouse=True)
def _no_proxy_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def tunnel_to(port: int, heads: list[str], refusal: bytes = b"") -> Handler:
    async def pump(source: Reader, sink: Writer) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65_536):
                sink.write(chunk)
                await sink.drain()
        sink.close()

    async def handler(reader: Reader, writer: Writer) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if refusal:
            writer.write(refusal)
            return
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))
        finally:
            upstream_writer.transport.abort()

    return handler


def through_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: bytes = b"") -> tuple[object, str]:
    certificate = write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heads: list[str] = []

    async def main() -> Verdict | None:
        async with (
            serving(answering(reply(CONFIRMED)), speaking_tls(certificate)) as target,
            serving(tunnel_to(target, heads, refusal)) as proxy,
        ):
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:word@127.0.0.1:{proxy}")
            async with FlinksClient(max_connections=4) as client:
                return await ask(client, "https://flinks.test")

    return asyncio.run(main()), "".join(heads)


def test_https_is_tunnelled_through_the_proxy_named_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict, heads = through_proxy(tmp_path, monkeypatch)
    assert verdict == APPLIED
    assert heads.startswith("CONNECT flinks.test:443 ")
    assert "Basic dXNlcjp3b3Jk" in heads
    assert "a-secret-key" not in heads


def test_a_refusing_proxy_is_a_connection_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = reply(b"no", "407 Proxy Authentication Required")
    verdict, _ = through_proxy(tmp_path, monkeypatch, refusal)
    assert verdict == Verdict(Outcome.TRANSIENT, "connect_failed", is_down=True)


def test_loopback_is_never_proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    assert verdict_of(answering(reply(CONFIRMED))) == APPLIED


@pytest.mark.parametrize(
    "address", ["socks5://127.0.0.1:1080", "ftp://proxy.example", "http://", "http://proxy.example:port"]
)
def test_an_unusable_proxy_setting_prevents_the_start(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as raised:
        verdict_at("https://flinks.test")
    assert address not in str(raised.value)
