"""Names: one that does not exist, a name server that is silent, and one lookup for all calls."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.flinks.transport.calls import Answered, Failed, call, opened
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.places import full_backlog_at
from tests.integration.misbehaving import answering, free_port, reply, serving
from worker.flinks import connect as connect_module
from worker.flinks.failures import FailureKind, Progress

URL = "http://no-such-api.private.fin.ag/"
Lookup = Callable[..., Any]


def with_names(lookup: Lookup) -> None:
    """Let the running loop look names up with this; addresses too pass through its method, with uvloop."""
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **others: Any) -> Any:
        is_address = host.replace(".", "").isdigit()
        return await (resolve if is_address else lookup)(host, port, **others)

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [(socket.EAI_NONAME, FailureKind.NAME_NOT_FOUND), (socket.EAI_AGAIN, FailureKind.CONNECT)],
)
def test_a_name_that_does_not_exist_is_distinguished_from_a_silent_name_server(
    run: Run[None], reason: int, kind: FailureKind
) -> None:
    async def main() -> None:
        async def refuse(*_: object, **__: object) -> None:
            raise socket.gaierror(reason, "as a resolver says it")

        with_names(refuse)
        async with opened(URL) as transport:
            assert await call(transport, URL) == Failed(kind, Progress.NOT_CONNECTED)

    run(main())


def test_a_real_lookup_of_a_name_that_cannot_exist_fails_before_connecting(run: Run[None]) -> None:
    async def main() -> None:
        async with opened("http://nightly.invalid/") as transport:
            ended = await call(transport, "http://nightly.invalid/", connect=10)
            kinds = (FailureKind.NAME_NOT_FOUND, FailureKind.CONNECT)  # the second one without a network
            assert ended in {Failed(kind, Progress.NOT_CONNECTED) for kind in kinds}

    run(main())


def test_a_lookup_that_never_ends_is_a_timeout_before_connecting(run: Run[None]) -> None:
    async def main() -> None:
        async def hang(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        with_names(hang)
        async with opened(URL) as transport:
            calls = [call(transport, URL, connect=0.05) for _ in range(2)]
            assert await asyncio.gather(*calls) == [Failed(FailureKind.TIMEOUT, Progress.NOT_CONNECTED)] * 2

    run(main())


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://a..b/", f"http://{'a' * 64}.example/"])
def test_an_impossible_address_does_not_exist(run: Run[None], url: str) -> None:
    async def main() -> None:
        async with opened(url) as transport:
            ended = await call(transport, url)
            assert ended == Failed(FailureKind.NAME_NOT_FOUND, Progress.NOT_CONNECTED)

    run(main())


class Names:
    """Resolves every name to these addresses."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.lookups = 0

    async def __call__(self, _: str, port: int, **__: object) -> list[Any]:
        self.lookups += 1
        await asyncio.sleep(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)) for host in self.hosts]


def test_one_lookup_serves_all_calls_for_a_while(run: Run[None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        names = Names("127.0.0.1")
        with_names(names)
        closing = reply(b"x", "200 OK", "connection: close")
        async with serving(answering(closing)) as port:
            url = f"http://flinks.test:{port}/"
            async with opened(url) as transport:
                ended = await asyncio.gather(*(call(transport, url) for _ in range(4)))
                assert all(isinstance(one, Answered) for one in ended)
                assert names.lookups == 1
                monkeypatch.setattr(connect_module, "ADDRESS_SECONDS", 0)
                transport._server._known_until = 0.0
                await call(transport, url)
                await call(transport, url)
                assert names.lookups == 3

    run(main())


def test_the_name_is_looked_up_again_after_a_failure_to_connect(run: Run[None]) -> None:
    async def main() -> None:
        names = Names("127.0.0.1")
        with_names(names)
        url = f"http://flinks.test:{free_port()}/"
        async with opened(url) as transport:
            for _ in range(2):
                assert await call(transport, url) == Failed(FailureKind.CONNECT, Progress.NOT_CONNECTED)
        assert names.lookups == 2

    run(main())


def test_the_next_address_is_tried_if_one_refuses(run: Run[None]) -> None:
    async def main() -> None:
        with_names(Names("127.0.0.2", "127.0.0.1"))
        async with serving(answering(reply(b"x"))) as port:
            url = f"http://flinks.test:{port}/"
            async with opened(url) as transport:
                assert isinstance(await call(transport, url), Answered)

    run(main())


def test_the_next_address_is_tried_if_one_stays_silent(run: Run[None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect_module, "NEXT_ADDRESS_SECONDS", 0.02)

    async def main() -> None:
        with_names(Names("127.0.0.2", "127.0.0.1"))
        async with serving(answering(reply(b"x"))) as port:
            with full_backlog_at("127.0.0.2", port):
                url = f"http://flinks.test:{port}/"
                async with opened(url) as transport:
                    assert isinstance(await call(transport, url), Answered)

    run(main())
