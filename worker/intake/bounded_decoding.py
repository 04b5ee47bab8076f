"""Limits what kombu decodes before a message is checked, on every queue and on remote control.

kombu decompresses a message as soon as it receives it, to any size. For two content types it accepts any of Python's
codecs as `content_encoding`, compressions included. Here gzip and bzip2, the two methods that Celery documents, yield
at most MAX_BODY_BYTES; every other method and both content types are rejected.
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
"""By kombu's names for them."""
_NEVER_ACCEPTED = ("application/data", "application/text")
"""kombu decodes these types even if a consumer does not accept them. None of our messages has one."""


class NotDecompressed(ValueError):
    """A compressed body is rejected; the text says why, without content."""


def guard_decoding() -> None:
    """Patch kombu's decompression, and reject the content types that it decodes unasked; may be called again."""
    _kombu.decompress = decompressed
    for content_type in _NEVER_ACCEPTED:
        register(f"refused {content_type}", None, _refuse, content_type)


def decompressed(body: Any, method: Any) -> bytes:
    """Decompress the body of a message that was compressed by `method`; raises NotDecompressed."""
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
    """Return why a message could not be decoded, in words without content."""
    return str(error) if isinstance(error, NotDecompressed) else f"cannot be decoded ({type(error).__name__})"


def _refuse(_: object) -> NoReturn:
    raise ValueError("this content type is never accepted")
