"""Sends files that are made line by line, in constant memory."""

from collections.abc import Iterator
from itertools import islice

from starlette.responses import Response, StreamingResponse

LINES_AT_ONCE = 500
"""Each part of a response is made in a thread of the pool. For every line, that would take most of the time."""


def download(name: str, lines: Iterator[bytes], media_type: str) -> Response:
    """Return a file called `name` for the browser to save; each of the `lines` has its line end."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(in_parts(lines), media_type=media_type, headers=headers)


def in_parts(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield LINES_AT_ONCE lines together."""
    while part := b"".join(islice(lines, LINES_AT_ONCE)):
        yield part
