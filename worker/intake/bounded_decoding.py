"""Bounds what kombu decodes of a message before anybody has judged it, on every queue and on remote control.

kombu decompresses a message as soon as it has received it, however large the result, and of two content types it takes
`content_encoding` for any of Python's codecs, which include compressions. Here gzip and bzip2, the two that Celery
documents, give at most MAX_BODY_BYTES; every other method, and both content types, are refused.
"""

import bz2
import zlib
from collections.abc import Callable
from typing import Any, NoReturn

from kombu import message
from kombu.serialization import register

from worker.events.contract import MAX_BODY_BYTES

_kombu: Any = message
_METHODS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("application/x-gzip", "gzip", "zlib"), zlib.decompressobj),
    **dict.fromkeys(("application/x-bz2", "bzip2", "bzip"), bz2.BZ2Decompressor),
}
"""By the names that kombu knows them by."""
_NEVER_ACCEPTED = ("application/data", "application/text")
"""kombu decodes these whatever a consumer accepts. Nothing of ours is either."""


class NotDecompressed(ValueError):
    """A compressed body that is not taken; its text says why, and holds nothing of the message."""


def guard_decoding() -> None:
    """Patch kombu's decompression, and refuse the content types that it decodes unasked; once or more often."""
    _kombu.decompress = decompressed
    for content_type in _NEVER_ACCEPTED:
        register(f"refused {content_type}", None, _refuse, content_type)


def decompressed(body: Any, method: Any) -> bytes:
    """Return the body of a message that `method` has compressed; raises NotDecompressed."""
    start = _METHODS.get(method) if isinstance(method, str) else None
    if start is None:
        raise NotDecompressed("is compressed, and not with gzip or bzip2")
    decompressor = start()
    try:
        found = bytes(decompressor.decompress(body, MAX_BODY_BYTES + 1))
    except (zlib.error, OSError, TypeError):
        raise NotDecompressed("its compressed body is damaged") from None
    if len(found) > MAX_BODY_BYTES:
        raise NotDecompressed(f"is larger than {MAX_BODY_BYTES} bytes when decompressed")
    if not decompressor.eof or decompressor.unused_data:
        raise NotDecompressed("its compressed body is damaged")
    return found


def why_not_decoded(error: BaseException) -> str:
    """Return in words without content why a message could not be decoded."""
    return str(error) if isinstance(error, NotDecompressed) else f"cannot be decoded ({type(error).__name__})"


def _refuse(_: object) -> NoReturn:
    raise ValueError("no content type of ours")
