"""Calls through a proxy: the tunnel is asked for with credentials, and the proxy sees nothing but encrypted bytes."""

import asyncio
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from pathlib import Path

import httpx
import pytest

from sandbox.stack import OrphanGuard
from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.flinks.test_proxy import tunnel_to
from tests.integration.flinks.transport.calls import Answered, Failed, call, opened, trusting
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.foreign import beside, tinyproxy
from tests.integration.misbehaving import answering, free_port, reply, serving
from worker.flinks.failures import FailureKind, Progress

GOOD = answering(reply(b"good"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_calls_share_a_tunnel_through_a_plain_or_a_tls_proxy(run: Run[None], tmp_path: Path, scheme: str) -> None:
    certificate = write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1")
    heads: list[str] = []

    async def main() -> None:
        tls = speaking_tls(certificate)
        async with (
            serving(GOOD, tls) as target,
            serving(tunnel_to(target, heads), tls if scheme == "https" else None) as port,
        ):
            proxy = httpx.Proxy(f"{scheme}://user:p%40ss@127.0.0.1:{port}")
            async with opened("https://flinks.test/a", tls=trusting(certificate), proxy=proxy) as transport:
                for _ in range(3):
                    ended = await call(transport, "https://flinks.test/a", headers={"x": "secret"})
                    assert isinstance(ended, Answered), ended
                assert transport.idle_connections == 1

    run(main())
    assert len(heads) == 1
    assert heads[0].startswith("CONNECT flinks.test:443 HTTP/1.1\r\n")
    assert "proxy-authorization: Basic dXNlcjpwQHNz\r\n" in heads[0]
    assert "secret" not in heads[0]


def test_a_call_without_tls_goes_through_a_tunnel_too(run: Run[None]) -> None:
    async def main() -> None:
        heads: list[str] = []
        async with serving(GOOD) as target, serving(tunnel_to(target, heads)) as port:
            proxy = httpx.Proxy(f"http://127.0.0.1:{port}")
            async with opened("http://flinks.test/", proxy=proxy) as transport:
                for _ in range(2):
                    ended = await call(transport, "http://flinks.test/")
                    assert isinstance(ended, Answered), ended
        assert len(heads) == 1

    run(main())


def test_bytes_that_come_with_the_answer_of_the_proxy_close_the_tunnel(run: Run[None]) -> None:
    """They are not encrypted, so they cannot be from the server."""

    async def injecting(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + reply(b"evil"))
        await reader.read(-1)

    async def main() -> None:
        async with serving(injecting) as port:
            proxy = httpx.Proxy(f"http://127.0.0.1:{port}")
            async with opened("https://flinks.test/", proxy=proxy) as transport:
                ended = await call(transport, "https://flinks.test/")
                assert ended == Failed(FailureKind.CONNECT, Progress.NOT_CONNECTED)

    run(main())


@pytest.mark.parametrize(("word", "is_let_through"), [("right", True), ("wrong", False)])
def test_a_real_proxy_lets_calls_through_only_with_its_credentials(
    run: Run[None], tmp_path: Path, orphan_guard: OrphanGuard, word: str, *, is_let_through: bool
) -> None:
    certificate, port = write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1"), free_port()

    async def main() -> None:
        async with (
            serving(GOOD, speaking_tls(certificate)) as target,
            beside(tinyproxy(tmp_path, port, orphan_guard, user="user", word="right")),
        ):
            url, proxy = f"https://127.0.0.1:{target}/", httpx.Proxy(f"http://user:{word}@127.0.0.1:{port}")
            async with opened(url, limit=4, tls=trusting(certificate), proxy=proxy) as transport:
                ended = await asyncio.gather(*(call(transport, url) for _ in range(12)))
        if is_let_through:
            assert all(isinstance(one, Answered) and one.body == b"good" for one in ended)
        else:
            assert set(ended) == {Failed(FailureKind.CONNECT, Progress.NOT_CONNECTED)}

    run(main())
