"""A compressed body is decompressed up to the size limit, and only with the two methods that Celery documents."""

import bz2
import lzma
import zlib
from collections.abc import Callable

import pytest

from tests.bombs import BOUNDED, bombs
from worker.events.contract import MAX_BODY_BYTES
from worker.intake.bounded_decoding import NotDecompressed, decompressed, why_not_decoded

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": zlib.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("method", COMPRESS)
@pytest.mark.parametrize("size", [0, 1, MAX_BODY_BYTES])
def test_a_body_up_to_the_limit_is_decompressed_unchanged(method: str, size: int) -> None:
    assert decompressed(COMPRESS[method](bytes(size)), method) == bytes(size)


@pytest.mark.parametrize("method", COMPRESS)
def test_one_byte_above_the_limit_is_refused(method: str) -> None:
    with pytest.raises(NotDecompressed, match="is larger than 1048576 bytes when decompressed"):
        decompressed(COMPRESS[method](bytes(MAX_BODY_BYTES + 1)), method)


@pytest.mark.parametrize("method", COMPRESS)
@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"x", lambda _: b"", lambda _: "text"])
def test_a_truncated_extended_or_invalid_body_is_refused(method: str, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotDecompressed, match="damaged"):
        decompressed(change(COMPRESS[method](b"[[], {}, {}]")), method)


@pytest.mark.parametrize("method", ["xz", "application/x-lzma", "zstd", "brotli", "canary", [], {}, 5])
def test_every_other_compression_is_refused_without_naming_it(method: object) -> None:
    with pytest.raises(NotDecompressed) as caught:
        decompressed(lzma.compress(b"[[], {}, {}]"), method)
    assert why_not_decoded(caught.value) == "is compressed, and not with gzip or bzip2"


def test_every_bomb_that_names_its_compression_is_tested() -> None:
    assert set(BOUNDED) == {name for name, (_, marks) in bombs().items() if "compression" in marks}


@pytest.mark.parametrize("name", BOUNDED)
def test_a_decompression_bomb_is_refused(name: str) -> None:
    body, marks = bombs()[name]
    with pytest.raises(NotDecompressed):
        decompressed(body, marks["compression"])
