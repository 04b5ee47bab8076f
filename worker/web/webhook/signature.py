"""Verifies that a request was signed with a known secret, as the Standard Webhooks specification says.

`webhook-signature` holds one or more of `v1,<base64>`: HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<content>`.
The content is the body; if parts of the event are in headers, those come before it (cloudevents.py), because an
attacker with a recorded request could otherwise send its body again as another event.
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
"""A request may be older or younger than this server's clock by this much. Within it, it may be repeated."""
NEW_KEY_BYTES = 32
_ID = re.compile(r"[!-\-/-~]{1,256}")
"""Printable ASCII without the full stop, which ends the id in what is signed."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_VERSION = "v1,"

Headers = Sequence[tuple[str, str]]
"""Names in small letters, in the order in which they came, repeated where they were."""


class BadSignature(Exception):
    """Nobody we know signed this. Its text names the header at fault, and holds nothing of it."""


class Signed(NamedTuple):
    """A request that a sender signed: the name of its key, and the signature's bytes, the same for each repetition."""

    sender: str
    signature: bytes


def verify(keys: Mapping[str, bytes], headers: Headers, content: bytes, *, now: float) -> Signed:
    """Return the name of the secret; `now` in seconds since 1970. Raises BadSignature."""
    message_id = _the_one(headers, "webhook-id")
    if not _ID.fullmatch(message_id):
        raise BadSignature("webhook-id: must be 1 to 256 printable ASCII characters without a full stop")
    timestamp = _the_one(headers, "webhook-timestamp")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("webhook-timestamp: must be whole seconds since 1970")
    if abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        raise BadSignature(f"webhook-timestamp: lies more than {TOLERANCE_SECONDS} s from the clock here")
    given = list(_signatures(_the_one(headers, "webhook-signature")))
    for name, key in keys.items():
        ours = sign(key, message_id, timestamp, content)
        if any(hmac.compare_digest(ours, theirs) for theirs in given):
            return Signed(name, ours)
    raise BadSignature("webhook-signature: none of its signatures is one of ours for this request")


def sign(key: bytes, message_id: str, timestamp: str, content: bytes) -> bytes:
    """Return the signature's bytes."""
    return hmac.digest(key, f"{message_id}.{timestamp}.".encode() + content, hashlib.sha256)


def new_secret() -> str:
    """Return a fresh secret as senders and HTTP_EVENTS_SECRETS take it."""
    return WEBHOOK_PREFIX + base64.b64encode(os.urandom(NEW_KEY_BYTES)).decode()


def _the_one(headers: Headers, name: str) -> str:
    values = [value for given, value in headers if given == name]
    if len(values) != 1:
        raise BadSignature(f"{name}: is required, once")
    return values[0]


def _signatures(text: str) -> Iterator[bytes]:
    """Yield what could be ours; other versions are for others."""
    for part in text.split():
        if part.startswith(_VERSION):
            try:
                yield base64.b64decode(part.removeprefix(_VERSION), validate=True)
            except (binascii.Error, ValueError):
                continue
