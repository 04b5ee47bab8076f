"""Hashes and verifies passwords with scrypt, in a text form that fits into REVIEW_USERS.

The form is `scrypt.<log2 n>.<r>.<p>.<salt>.<key>`; salt and key are base64url. It has no colon or comma, which
separate the fields and users, and no dollar sign, which shells and compose files expand.
"""

import base64
import hashlib
import hmac
import os
import re

LOG2_N, R, P = 15, 8, 3
"""These scrypt parameters cost about 0.3 s of one core and 32 MiB for each check."""
SALT_BYTES = 16
KEY_BYTES = 32
MAX_MEMORY_BYTES = 128 * 1024 * 1024
MAX_PASSWORD_BYTES = 1024
_FORM = re.compile(r"scrypt\.(1[0-6])\.([1-8])\.([1-8])\.([A-Za-z0-9_-]{22,})\.([A-Za-z0-9_-]{43})")


def hash_password(password: str, *, log2_n: int = LOG2_N) -> str:
    """Return a hash of `password` with a new salt; takes about 0.3 s."""
    salt = os.urandom(SALT_BYTES)
    key = _derive(password, salt, log2_n, R, P)
    return f"scrypt.{log2_n}.{R}.{P}.{_text(salt)}.{_text(key)}"


def is_hash(text: str) -> bool:
    """Return whether `text` has the form that `hash_password` returns, with parameters of bounded cost."""
    return _FORM.fullmatch(text) is not None


def matches(password: str, hashed: str) -> bool:
    """Return whether `hashed` is a hash of `password`; compares in constant time."""
    parts = _FORM.fullmatch(hashed)
    if parts is None or len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES:
        return False
    log2_n, r, p, salt, key = parts.groups()
    return hmac.compare_digest(_derive(password, _bytes(salt), int(log2_n), int(r), int(p)), _bytes(key))


def _derive(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=1 << log2_n, r=r, p=p, maxmem=MAX_MEMORY_BYTES, dklen=KEY_BYTES)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
