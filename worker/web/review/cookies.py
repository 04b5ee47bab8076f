"""Signs the cookies of the page, so that a browser can neither invent nor change one.

A `__Host-` cookie is accepted only over HTTPS (browsers count loopback as such), for this host alone and for all its
paths: no neighbour on another subdomain can set it.
"""

import hashlib
import hmac
import os
import secrets

from itsdangerous import BadData, Signer
from starlette.responses import Response

SESSION = "__Host-nightly"
VISIT = "__Host-nightly-visit"
"""A random id of a browser that has not signed in: it ties the sign-in form to this browser."""
FLASH = "__Host-nightly-message"
REVEAL = "__Host-nightly-reveal"
"""The permission to show the loginId of one letter on its next page."""
FLOW = "__Host-nightly-sign-on"
"""What the browser of a person who is at the identity provider must bring back."""
_MOST_BYTES = 4096


class Signing:
    """Signs texts for a purpose, with keys derived from `secret`.

    Without one the keys are random: a restart ends all sessions. Several processes at one address need the same one.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._key = hmac.digest(secret or os.urandom(32), b"nightly/review page", hashlib.sha256)

    def sign(self, purpose: str, text: str) -> str:
        """Return the text with a signature."""
        return self._signer(purpose).sign(text).decode()

    def text_of(self, purpose: str, signed: str) -> str | None:
        """Return the text that was signed for this purpose; None for anything else."""
        if not signed or len(signed) > _MOST_BYTES or not signed.isascii():
            return None
        try:
            return self._signer(purpose).unsign(signed).decode()
        except (BadData, UnicodeDecodeError):
            return None

    def mac(self, purpose: str, text: str) -> str:
        """Return a keyed hash of the text, in hex."""
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()

    def _signer(self, purpose: str) -> Signer:
        return Signer(self._key, salt=f"nightly {purpose}", key_derivation="hmac", digest_method=hashlib.sha256)


def new_id() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def set_cookie(response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
    """Set a cookie that scripts cannot read and other sites' forms do not send.

    It ends after `max_age` seconds, or with the browser.
    """
    response.set_cookie(name, value, max_age, path="/", secure=True, httponly=True, samesite="lax")


def delete_cookie(response: Response, name: str) -> None:
    """Delete a cookie; browsers accept that of a `__Host-` cookie only with the same attributes."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
