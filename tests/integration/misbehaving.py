"""Servers with every known kind of misbehaviour, and a call to them."""

import asyncio
import contextlib
import functools
import json
import re
import socket
import ssl
import struct
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Awaitable, Callable

from pydantic import SecretStr

from worker.config.instances import Instance
from worker.flinks.client import FlinksClient
from worker.flinks.outcome import Outcome, Verdict

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
CONFIRMED = json.dumps(f"LoginId {LOGIN} has now been activated for automatic refresh").encode()
APPLIED = Verdict(Outcome.APPLIED, "applied", http_status=200)
Handler = Callable[[Reader, Writer], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free loopback port and yield the port; on leaving, the server is removed completely."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[Writer] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def accept(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        tasks.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
        for _ in range(3):  # a connection whose acceptance ends after `close` would keep its socket open
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        for _ in range(3):  # the event loop closes the sockets
            await asyncio.sleep(0)


async def read_request(reader: Reader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
    return head, await reader.readexactly(int(length[1]) if length else 0)


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(answer: bytes) -> Handler:
    async def handler(reader: Reader, writer: Writer) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return handler


def closing_after(answer: bytes) -> Handler:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return handler


async def silent(reader: Reader, _: Writer) -> None:
    await reader.read(-1)  # until the client gives up


async def dripping(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def resetting(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    reset(writer)


async def resetting_in_the_body(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.write(reply(CONFIRMED)[:-20])
    await writer.drain()
    reset(writer)


def reset(writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@functools.cache
def instance_at(base_url: str) -> Instance:
    """Return always the same object for an address, as the settings do: the client keeps its connections by it."""
    return Instance(
        name="toolbox",
        customer_id="43387ca6-0391-4c82-857d-70d95f087ecb",
        auth_key=SecretStr("a-secret-key"),
        auth_header="flinks-auth-key",
        auth_scheme="",
        base_url=base_url,
    )


async def ask(
    client: FlinksClient, base_url: str, *, timeout_seconds: float = 5, not_after: float = float("inf")
) -> Verdict | None:
    """Send an active wish. A client that misses its own deadline fails the test instead of blocking it."""
    async with asyncio.timeout(20):
        return await client.set_scheduled_refresh(
            instance_at(base_url), LOGIN, wants_active=True, timeout_seconds=timeout_seconds, not_after=not_after
        )


def verdict_of(handler: Handler, *, timeout_seconds: float = 5) -> Verdict:
    async def main() -> Verdict | None:
        async with serving(handler) as port, FlinksClient(max_connections=4) as client:
            return await ask(client, f"http://127.0.0.1:{port}", timeout_seconds=timeout_seconds)

    verdict = asyncio.run(main())
    assert verdict is not None
    return verdict


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def verdict_at(base_url: str, *, timeout_seconds: float = 5) -> Verdict:
    async def main() -> Verdict | None:
        async with FlinksClient(max_connections=4) as client:
            return await ask(client, base_url, timeout_seconds=timeout_seconds)

    verdict = asyncio.run(main())
    assert verdict is not None
    return verdict
