"""Makes once for an instance what httpx would make anew for each of its calls.

An `httpx.Request` parses its URL, normalises its headers and reads both out again for the transport: a third of
all that a call costs. Of the PATCH to Flinks nothing changes but the body.
"""

from collections.abc import ItemsView, Mapping
from typing import Any

import httpx


class PreparedUrl(httpx.URL):
    """A URL that knows its own text."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._text = super().__str__()

    def __str__(self) -> str:
        return self._text


class PreparedHeaders(httpx.Headers):
    """Headers that know their items. They are shared by requests: nobody may change them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._known = dict(super().items()).items()

    def items(self) -> ItemsView[str, str]:
        """Return names and values, as text."""
        return self._known


class PreparedRequest(httpx.Request):
    """A request of ready-made parts; the transport adds Host and Content-Length, as it does wherever they lack."""

    def __init__(
        self,
        method: str,
        url: PreparedUrl,
        headers: PreparedHeaders,
        *,
        content: bytes,
        extensions: dict[str, Any],
    ) -> None:
        # Not httpx' own constructor, which makes all these parts.
        self.method, self.url, self.headers, self.extensions = method, url, headers, extensions
        self.stream = httpx.ByteStream(content)
        self._body = content

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body
