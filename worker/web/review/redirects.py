"""Sends a browser to another page of ours, and nowhere else. Does no I/O."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_MOST_CHARACTERS = 2000
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this host in printable ASCII: `//host` and backslashes, which browsers read as slashes, are not."""


def safe_path(path: str, default: str = "/") -> str:
    """Return `path` if it is one of this host; else `default`."""
    return path if len(path) <= _MOST_CHARACTERS and _LOCAL.fullmatch(path) else default


def back(request: Request, default: str = "/") -> Response:
    """Return the redirect (303) after a form: to its field `next`, or to `default`."""
    return RedirectResponse(safe_path(request.state.form.get("next", ""), default), status_code=303)
