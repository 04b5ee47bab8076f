"""Which bytes are read as HTTP, in pieces of any size; tests/integration/web/test_attacks.py sends such bytes."""

import h11
import pytest

from worker.web.strict_http import MAX_CHUNKS, StrictConnection

CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def events(raw: bytes, *, piece: int) -> list[type]:
    """Return the kinds of events in what a client sends, in pieces."""
    connection, found = StrictConnection(), []
    for start in range(0, len(raw), piece):
        connection.receive_data(raw[start : start + piece])
        while isinstance(event := connection.next_event(), h11.Event):
            found.append(type(event))
    return found


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
def test_a_request_is_read_however_it_arrives(piece: int) -> None:
    assert events(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", piece=piece) == [h11.Request, h11.EndOfMessage]
    with_trailer = events(CHUNKED + b"1\r\na\r\n0\r\nx-a: b\r\n\r\n", piece=piece)
    assert with_trailer == [h11.Request, h11.Data, h11.EndOfMessage]


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nhost: x\n\n",
        b"\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n\tc\r\n\r\n",
        CHUNKED + b"0\r\nx-a: b\n\r\n\r\n",
        CHUNKED + b"0\r\nx-a: b\r\n c\r\n\r\n",
        CHUNKED + b"1;\r\na\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"1\r\na\n0\r\n\r\n",
        CHUNKED + b"1\r\na\r\n\r\n0\r\n\r\n",
        CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
        CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
        CHUNKED + b"00000000000000001\r\na\r\n0\r\n\r\n",
    ],
)
def test_an_ambiguous_request_is_refused_however_it_arrives(raw: bytes, piece: int) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        events(raw, piece=piece)


def test_a_body_in_more_chunks_than_a_batch_needs_is_refused() -> None:
    with pytest.raises(h11.RemoteProtocolError, match="too many chunks"):
        events(CHUNKED + b"1\r\na\r\n" * (MAX_CHUNKS + 1), piece=10_000)


def test_chunks_that_arrive_together_are_one_event() -> None:
    assert events(CHUNKED + b"1\r\na\r\n" * MAX_CHUNKS + b"0\r\n\r\n", piece=100_000) == [
        h11.Request,
        h11.Data,
        h11.EndOfMessage,
    ]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_a_chunked_body_is_read_however_it_arrives(piece: int) -> None:
    raw, connection, body = CHUNKED + b"3\r\nabc\r\n00A\r\n0\r\n\r\n12345\r\n0\r\n\r\n", StrictConnection(), b""
    for start in range(0, len(raw), piece):
        connection.receive_data(raw[start : start + piece])
        while isinstance(event := connection.next_event(), h11.Event):
            body += bytes(event.data) if isinstance(event, h11.Data) else b""
    assert body == b"abc0\r\n\r\n12345"
    assert connection.their_state is h11.DONE
