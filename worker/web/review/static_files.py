"""The page's CSS, scripts and pictures, kept in memory; each address has the file's hash, so browsers keep them."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
"""Only files with these endings are served; a licence beside a script is not."""
_FOREVER = "public, max-age=31536000, immutable"
_HASH_CHARACTERS = 12


class StaticFile(NamedTuple):
    """One file."""

    content: bytes
    media_type: str
    version: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Return the files of `static/` by name."""
    found = {}
    for entry in files("worker.web.review").joinpath("static").iterdir():
        media_type = TYPES.get(PurePath(entry.name).suffix)
        if media_type is not None:
            content = entry.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]
            found[entry.name] = StaticFile(content, media_type, version)
    return found


def static_url(name: str) -> str:
    """Return the address of a file, which changes with its content; raises KeyError for an unknown one."""
    return f"/static/{name}?v={static_files()[name].version}"


def serve_static(request: Request) -> Response:
    """Answer `GET /static/{name}`."""
    found = static_files().get(request.path_params["name"])
    if found is None:
        return PlainTextResponse("There is no such file.\n", status_code=404)
    is_exact = request.query_params.get("v") == found.version
    headers = {"cache-control": _FOREVER if is_exact else "no-cache"}
    return Response(found.content, media_type=found.media_type, headers=headers)
