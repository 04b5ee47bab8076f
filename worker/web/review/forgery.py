"""Refuses requests that another site made a browser send. Does no I/O.

A changing request needs the token of its form, which is tied to the session, and must come from our own pages by
what the browser says: Sec-Fetch-Site, and Origin. Requests with a bearer token need none of this: no browser adds it.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from worker.web.review.cookies import Signing

FIELD, HEADER = "csrf", "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FROM_HERE = frozenset({"same-origin", "none"})


def token_for(signing: Signing, browser: str) -> str:
    """Return the token of the forms of one session, or of one browser before it signs in."""
    return signing.mac("form", browser)


def is_token(signing: Signing, browser: str, token: str) -> bool:
    """Return whether `token` is the one of this session; compares in constant time."""
    return hmac.compare_digest(token_for(signing, browser).encode(), token.encode("utf-8", "surrogatepass"))


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Return whether the browser says that one of our own pages sent this; a client that says nothing passes."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in _FROM_HERE:
        return False
    if origin is None:
        return True
    return _host_of(origin) == headers.get("host", "").lower()


def _host_of(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in {"http", "https"} else None
