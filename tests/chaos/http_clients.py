"""Many raw clients at once against one address, and the responses that they got."""

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from tests.chaos.http_inputs import Ending, Input

AT_ONCE = 24
LEFT_OPEN = 60
"""Connections left open at the same time, far below the places of the page; beyond it the oldest is reset."""
ANSWER_SECONDS = 0.3
"""Seconds without a byte, after which the server is taken to wait for more of the request."""
FURTHER_SECONDS = 0.05
"""Seconds without a further byte, after which the response is taken as complete."""
CONNECT_SECONDS = 20.0
MOST_ANSWER_BYTES = 4 * 1024 * 1024
RESET = struct.pack("ii", 1, 0)
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
Address = tuple[str, int]


class Seen:
    """The results of the clients of one address; `wrong` has one line for each kind of forbidden response."""

    def __init__(self) -> None:
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self.endings: Counter[Ending] = Counter()
        self.wrong: dict[str, Input] = {}

    def note(self, sent: Input, answer: bytes) -> None:
        """Judge the responses of one connection; no response is right for an incomplete request."""
        self.sent += 1
        self.endings[sent.ending] += 1
        statuses = [int(status) for status in STATUS.findall(answer)]
        self.statuses.update(statuses)
        if answer and not STATUS.match(answer):
            self.wrong.setdefault("an answer that is no HTTP", sent)
        for status in statuses:
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE:
                self.wrong.setdefault(f"an answer {status}", sent)

    def fail(self, sent: Input, error: Exception) -> None:
        """Count a client that was not admitted."""
        self.wrong.setdefault(f"no connection: {type(error).__name__}", sent)


def attack(address: Address, inputs: Callable[[], Input], seen: Seen, is_over: threading.Event) -> None:
    """Send inputs until the time is over; returns when every connection is closed."""
    asyncio.run(_attack(address, inputs, seen, is_over))


async def _attack(address: Address, inputs: Callable[[], Input], seen: Seen, is_over: threading.Event) -> None:
    left_open: list[asyncio.StreamWriter] = []

    async def go_on() -> None:
        while not is_over.is_set():
            await _send_one(address, inputs(), seen, left_open)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(go_on())
    finally:
        for writer in left_open:
            _reset(writer)


async def _send_one(address: Address, sent: Input, seen: Seen, left_open: list[asyncio.StreamWriter]) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError) as error:
        seen.fail(sent, error)
        return
    if sent.ending is Ending.LEAVES_IT_OPEN:
        writer.write(sent.first)
        left_open.append(writer)
        if len(left_open) > LEFT_OPEN:
            _reset(left_open.pop(0))
        seen.note(sent, b"")
        return
    answer = b""
    with contextlib.suppress(OSError):
        writer.write(sent.first)
        if sent.ending is Ending.RESETS:
            await asyncio.sleep(0)
        else:
            await _send_on(writer, sent)
            answer = await _read(reader)
    _reset(writer)
    seen.note(sent, answer)


async def _send_on(writer: asyncio.StreamWriter, sent: Input) -> None:
    if sent.ending is Ending.SENDS_THE_REST:
        await asyncio.sleep(0.001)
        writer.write(sent.rest)
    elif sent.ending is Ending.HALF_CLOSES:
        writer.write_eof()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes the connection or waits for more."""
    found = bytearray()
    with contextlib.suppress(TimeoutError, OSError):
        while len(found) < MOST_ANSWER_BYTES:
            async with asyncio.timeout(FURTHER_SECONDS if found else ANSWER_SECONDS):
                part = await reader.read(65536)
            if not part:
                break
            found += part
    return bytes(found)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
