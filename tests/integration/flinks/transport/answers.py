"""Draws answers of HTTP servers, valid ones with what they must be read as, and damaged ones."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.integration.flinks.transport.calls import Answered

STATUSES = (200, 201, 302, 400, 401, 404, 429, 500, 503, 999)
NAMES = st.from_regex(r"x-[a-z!#$%&'*+.^_`|~0-9-]{0,12}", fullmatch=True)
VALUES = st.from_regex(r"([!-~]([ -~\t]{0,20}[!-~])?)?", fullmatch=True)
HEADERS = st.lists(st.tuples(NAMES.map(str.encode), VALUES.map(str.encode)), max_size=5)
INTERIM = st.sampled_from(
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 2)
)
REASONS = st.sampled_from((b" OK", b" ", b" Not Found at all", b" caf\xe9"))
EXTENSIONS = st.sampled_from((b"", b";a", b";a=b", b';a="b c"'))
HEXADECIMAL = st.sampled_from((b"%x", b"%X", b"00%x"))


@dataclass(frozen=True)
class Valid:
    """The bytes of an answer, and what they mean."""

    raw: bytes
    means: Answered
    must_close: bool
    """The body has no length: it ends when the server closes the connection."""


@st.composite
def valid_answers(draw: DrawFn) -> Valid:
    """Draw an answer that a correct server may send."""
    status, headers, body = draw(st.sampled_from(STATUSES)), draw(HEADERS), draw(st.binary(max_size=120))
    framing, payload = draw(st.sampled_from((_by_length, _by_close, _by_chunks)))(draw, body)
    headers = [*headers, *framing]
    lines = b"".join(
        name + b":" + draw(st.sampled_from((b"", b" ", b" \t"))) + value + b"\r\n" for name, value in headers
    )
    head = draw(INTERIM) + b"HTTP/1.1 %d" % status + draw(REASONS) + b"\r\n" + lines + b"\r\n"
    return Valid(head + payload, Answered(status, body, tuple(headers)), must_close=not framing)


Framed = tuple[list[tuple[bytes, bytes]], bytes]


def _by_length(_: DrawFn, body: bytes) -> Framed:
    return [(b"content-length", b"%d" % len(body))], body


def _by_close(_: DrawFn, body: bytes) -> Framed:
    return [], body


def _by_chunks(draw: DrawFn, body: bytes) -> Framed:
    payload = b""
    while body:
        size = draw(st.integers(1, len(body)))
        payload += draw(HEXADECIMAL) % size + draw(EXTENSIONS) + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    trailers = b"".join(name + b": " + value + b"\r\n" for name, value in draw(HEADERS))
    return [(b"transfer-encoding", b"chunked")], payload + b"0\r\n" + trailers + b"\r\n"


TOKENS = (b"\r\n", b"\n", b"\r", b"\0", b": ", b" ", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"content-length: 1\r\n")
TOKENS += (
    b"transfer-encoding: chunked\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: x\r\n",
    b"\xff",
)
PIECES = st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4)


@st.composite
def damaged_answers(draw: DrawFn) -> bytes:
    """Draw the bytes of a valid answer, or of two, with some removed, inserted, doubled or changed."""
    raw = b"".join(answer.raw for answer in draw(st.lists(valid_answers(), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(raw))), draw(st.integers(0, 12))
        middle = draw(st.sampled_from((b"", raw[at : at + length] * 2)) | PIECES)
        raw = raw[:at] + middle + raw[at + length :]
    return raw


def cuts(raw: bytes) -> SearchStrategy[list[bytes]]:
    """Draw a way to cut bytes into packets."""
    places = st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=8).map(sorted)
    return places.map(lambda found: cut(raw, found))


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    bounds = [0, *places, len(raw)]
    return [raw[begin:end] for begin, end in pairwise(bounds) if begin < end]
