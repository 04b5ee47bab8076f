"""Request parts that are parsed once per instance, because only the body changes from call to call.

httpx.Request would parse the URL and the headers for each call, at 14 us of CPU (docs/performance.md, What was tried).
"""

from collections.abc import ItemsView, Mapping
from typing import Any

import httpx


class PreparedUrl(httpx.URL):
    """A URL that keeps its text instead of building it for each call."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._text = super().__str__()

    def __str__(self) -> str:
        return self._text


class PreparedHeaders(httpx.Headers):
    """Headers that keep their items. Requests share them, so nothing may change them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._known = dict(super().items()).items()

    def items(self) -> ItemsView[str, str]:
        """Return names and values, as text."""
        return self._known


class PreparedRequest(httpx.Request):
    """A request from prepared parts; the transport adds Host and Content-Length."""

    def __init__(
        self,
        method: str,
        url: PreparedUrl,
        headers: PreparedHeaders,
        *,
        content: bytes,
        extensions: dict[str, Any],
    ) -> None:
        # Skips httpx's constructor, which would parse the parts again.
        self.method, self.url, self.headers, self.extensions = method, url, headers, extensions
        self.stream = httpx.ByteStream(content)
        self._body = content

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body
