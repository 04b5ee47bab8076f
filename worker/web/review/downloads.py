"""Sends files that are made line by line, in constant memory."""

from collections.abc import Iterator
from itertools import islice

from starlette.responses import Response, StreamingResponse

LINES_AT_ONCE = 500
"""Each part of a response is made in a thread of the pool. For every line, that would take most of the time."""


def download(name: str, lines: Iterator[str], media_type: str) -> Response:
    """Return a file called `name` for the browser to save; each of the `lines` has its line end."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_parts(lines), media_type=media_type, headers=headers)


def _parts(lines: Iterator[str]) -> Iterator[str]:
    while part := "".join(islice(lines, LINES_AT_ONCE)):
        yield part
