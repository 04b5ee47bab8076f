"""Verifies that a request is signed with a known secret, by the Standard Webhooks specification.

`webhook-signature` has one or more of `v1,<base64>`: HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<content>`.
The content is the body. In binary mode the event's headers precede it (cloudevents.py); otherwise an attacker could
send the body of a recorded request as another event.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from worker.config.validators import WEBHOOK_PREFIX

TOLERANCE_SECONDS = 300
"""Maximum difference between a request's timestamp and this server's clock. A recorded request can be repeated for
this long (repeats.py)."""
NEW_KEY_BYTES = 32
_ID = re.compile(r"[!-\-/-~]{1,256}")
"""Printable ASCII without the full stop, which separates the id from the timestamp in the signed content."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_VERSION = "v1,"

Headers = Sequence[tuple[str, str]]
"""Names in lower case and values, in the order in which they were sent; a repeated header is there repeatedly."""


class BadSignature(Exception):
    """No known secret signed the request. The text names the header at fault, without its value."""


class Signed(NamedTuple):
    """The sender of a request (the name of its secret), and the signature: the same bytes if it is sent again."""

    sender: str
    signature: bytes


def verify(keys: Mapping[str, bytes], headers: Headers, content: bytes, *, now: float) -> Signed:
    """Return the sender and the signature; `now` is in seconds since 1970. Raises BadSignature."""
    message_id = _single(headers, "webhook-id")
    if not _ID.fullmatch(message_id):
        raise BadSignature("webhook-id: must be 1 to 256 printable ASCII characters without a full stop")
    timestamp = _single(headers, "webhook-timestamp")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp: must be whole seconds since 1970")
    if abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        raise BadSignature(f"webhook-timestamp: differs by more than {TOLERANCE_SECONDS} s from this server's clock")
    given = list(_signatures(_single(headers, "webhook-signature")))
    for name, key in keys.items():
        expected = sign(key, message_id, timestamp, content)
        if any(hmac.compare_digest(expected, signature) for signature in given):
            return Signed(name, expected)
    raise BadSignature("webhook-signature: no signature matches this request and a known secret")


def sign(key: bytes, message_id: str, timestamp: str, content: bytes) -> bytes:
    """Return the signature as bytes."""
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256)


def new_secret() -> str:
    """Return a new random secret, in the form for senders and HTTP_EVENTS_SECRETS."""
    return WEBHOOK_PREFIX + base64.b64encode(os.urandom(NEW_KEY_BYTES)).decode()


def _single(headers: Headers, name: str) -> str:
    values = [value for header, value in headers if header == name]
    if len(values) != 1:
        raise BadSignature(f"{name}: is required exactly once")
    return values[0]


def _signatures(text: str) -> Iterator[bytes]:
    """Yield the signatures of version 1; others are ignored."""
    for part in text.split():
        if part.startswith(_VERSION):
            try:
                yield base64.b64decode(part.removeprefix(_VERSION), validate=True)
            except (binascii.Error, ValueError):
                continue
