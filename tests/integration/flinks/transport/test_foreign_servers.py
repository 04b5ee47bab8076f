"""The transport with HTTP servers that others wrote."""

import asyncio
from pathlib import Path

import pytest

from sandbox.stack import OrphanGuard
from tests.integration.certificates import write_certificate
from tests.integration.flinks.transport.calls import Answered, call, opened, trusting, until
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.foreign import SERVERS, beside
from tests.integration.misbehaving import CONFIRMED, free_port

LIMIT = 4


@pytest.mark.parametrize("name", SERVERS)
def test_no_call_fails_while_a_server_closes_idle_connections_and_is_restarted(
    run: Run[None], tmp_path: Path, orphan_guard: OrphanGuard, name: str
) -> None:
    certificate, port = write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1"), free_port()

    async def main() -> None:
        async with opened(f"https://127.0.0.1:{port}/", limit=LIMIT, tls=trusting(certificate)) as transport:

            async def status_of(path: str) -> int:
                ended = await call(transport, f"https://127.0.0.1:{port}/{path}", content=b"{}" * 20)
                assert isinstance(ended, Answered), ended
                assert ended.body == CONFIRMED
                return ended.status

            async with beside(SERVERS[name](tmp_path, certificate, port, orphan_guard)):
                paths = ["whole", "chunked", "refused", "missing"] * 10
                assert await asyncio.gather(*map(status_of, paths)) == [200, 200, 429, 404] * 10
                assert [await status_of("whole") for _ in range(12)] == [200] * 12
                assert 1 <= transport.idle_connections <= LIMIT
                await until(lambda: transport.idle_connections == 0)  # long before the transport's own limit
                assert await status_of("whole") == 200
            async with beside(SERVERS[name](tmp_path, certificate, port, orphan_guard)):
                assert await status_of("chunked") == 200

    run(main())
