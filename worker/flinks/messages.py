"""Requests and responses of httpx that leave out the work that no call needs: parsing headers, wrapping bytes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cached_property
from typing import Any, cast

import httpx


class PreparedRequest(httpx.Request):
    """A request from a URL and headers that many requests share: httpx's constructor parses both for each request."""

    def __init__(
        self, method: str, url: httpx.URL, headers: httpx.Headers, *, content: bytes, extensions: dict[str, Any]
    ) -> None:
        self.method, self.url, self.headers, self.extensions = method, url, headers, extensions
        self._content = content

    @cached_property
    def stream(self) -> httpx.ByteStream:  # type: ignore[override] # httpx assigns it
        """The content, for other transports."""
        return httpx.ByteStream(self._content)


class RawResponse(httpx.Response):
    """A response with its body read, and its headers as they came; `header_names` are in lower case."""

    _request = next_request = None
    is_closed = is_stream_consumed = False
    default_encoding = "utf-8"
    _num_bytes_downloaded = 0

    def __init__(
        self, status: int, raw_headers: list[tuple[bytes, bytes]], header_names: set[bytes], body: bytes
    ) -> None:
        self.status_code, self.raw_headers, self.header_names, self._content = status, raw_headers, header_names, body
        self.extensions, self.history = {}, []

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override] # httpx assigns it
        """The headers, parsed."""
        return httpx.Headers(self.raw_headers)

    @cached_property
    def stream(self) -> httpx.ByteStream:  # type: ignore[override] # httpx assigns it
        """The body."""
        return httpx.ByteStream(self._content)


async def read_body(response: httpx.Response, at_most: float = float("inf")) -> bytes:
    """Return the body of a response, as it is on the wire; reads little more than `at_most`, and closes it."""
    if isinstance(response, RawResponse):
        return response.content
    content = bytearray()
    try:
        stream = cast("AsyncGenerator[bytes, None]", aiter(cast("httpx.AsyncByteStream", response.stream)))
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) >= at_most:
                    break
    finally:
        await response.aclose()
    return bytes(content)
