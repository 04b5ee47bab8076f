"""Ends a call on its connection: with an answer, half an answer, silence or a reset.

Only this module uses the transport, which `emulator/server.py` puts into the scope's state.
"""

import asyncio
import socket
import struct

from starlette.types import Message, Receive, Scope, Send

from sandbox.emulator.effects import Effect, Ending
from sandbox.emulator.replies import Reply

MAX_BODY_BYTES = 1_048_576
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST."""

Seen = tuple[str, int | None]
"""How the call ended on its connection, and the status sent, if any."""


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self.method: str = scope["method"]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]

    def header(self, name: bytes) -> str | None:
        """Return a header's first value; `name` in lower case."""
        return next((value.decode("latin-1") for key, value in self._headers if key == name), None)

    async def body(self) -> bytes | None:
        """Return the whole body, b"" if it exceeds MAX_BODY_BYTES, None if the client left first."""
        parts, size, has_more = [], 0, True
        while has_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return None
            size += len(message["body"])
            if size <= MAX_BODY_BYTES:
                parts.append(message["body"])
            has_more = message["more_body"]
        return b"".join(parts) if size <= MAX_BODY_BYTES else b""

    async def client_left_within(self, seconds: float | None) -> bool:
        """Wait up to `seconds` (None: without limit) and return whether the client closed the connection."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def answer(self, reply: Reply) -> Seen:
        """Send a complete answer."""
        if self._transport.is_closing():
            return "client_left", None
        await self._send(_start_of(reply))
        await self._send({"type": "http.response.body", "body": reply.body})
        return "answered", reply.status

    async def play(self, effect: Effect) -> Seen:
        """End the call as the effect says."""
        match effect.ending:
            case Ending.ANSWER:
                return await self.answer(effect.reply)
            case Ending.DRIBBLE:
                return await self._dribble(effect)
            case Ending.CUT:
                await self._send(_start_of(effect.reply))
                half = effect.reply.body[: len(effect.reply.body) // 2]
                await self._send({"type": "http.response.body", "body": half, "more_body": True})
                return await self._closed("cut", effect.reply.status)
            case Ending.SILENCE:
                await self.client_left_within(None)
                return "client_left", None
            case Ending.RESET:
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                )
                self._transport.abort()
                return await self._closed("reset", None)
            case Ending.CLOSE:
                return await self._closed("closed", None)

    async def _closed(self, seen: str, status: int | None) -> Seen:
        # uvicorn reports an unanswered call as an application error unless it has seen the connection close.
        self._transport.close()
        await self.client_left_within(None)
        return seen, status

    async def _dribble(self, effect: Effect) -> Seen:
        await self._send(_start_of(effect.reply))
        body, step = effect.reply.body, effect.bytes_per_step
        for start in range(0, len(body), step):
            if await self.client_left_within(effect.step_seconds):
                return "client_left", effect.reply.status
            await self._send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
        return "answered", effect.reply.status


def _start_of(reply: Reply) -> Message:
    return {"type": "http.response.start", "status": reply.status, "headers": reply.all_headers}
