"""Writes event ids in the form the ledger keeps: most are GUIDs, which take 17 bytes in place of 36. Does no I/O."""

import re

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_MARK = b"\0"
"""No event id begins with it, for all their characters are printable."""
_PACKED_BYTES = 17


def pack_event_id(event_id: str) -> bytes:
    """Return a canonical GUID as a zero byte and its 16 bytes, any other text as it is."""
    if len(event_id) == 36 and _GUID.fullmatch(event_id):  # noqa: PLR2004 - the length of a GUID
        return _MARK + bytes.fromhex(event_id.replace("-", ""))
    return event_id.encode()


def event_id_of(stored: bytes) -> str:
    """Return the event id as it came."""
    if len(stored) != _PACKED_BYTES or stored[:1] != _MARK:
        return stored.decode("utf-8", "replace")
    digits = stored[1:].hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
