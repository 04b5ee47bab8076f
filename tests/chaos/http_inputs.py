"""Input of hostile clients: valid requests cut at every position, valid requests with mistakes in them, and noise."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from tests.http_events import BATCH, STRUCTURED, event, signed

PASSWORD = "loopback-only"
USER = "ann"
MOST_BYTES = 64 * 1024
TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b" ", b"\t", b":", b"%00", b"/../", b"\xff\xfe", "é".encode()),
    *(b"Content-Length: -1\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 99999999999999\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\n",
        b"Connection: close\r\n",
    ),
    *(
        b"HTTP/9.9",
        b"HTTP/1.0",
        b"ffffffffffffffff\r\n",
        b"0\r\n\r\n",
        b"5;x=y\r\n",
        b"[" * 2000,
        b"9" * 5000,
        b"A" * 20_000,
    ),
    *(b"Authorization: Basic %%%\r\n", b"webhook-id: a.b\r\n", b"content-encoding: gzip\r\n", b'{"a":' * 500),
)


class Ending(StrEnum):
    """What a client does after sending."""

    READS = "reads the answer"
    SENDS_THE_REST = "sends the rest, then reads the answer"
    HALF_CLOSES = "closes its sending side, then reads"
    RESETS = "resets the connection at once"
    LEAVES_IT_OPEN = "leaves the connection open and reads nothing"


@dataclass(frozen=True)
class Input:
    """The input of one client. `rest` follows in a packet of its own, if `ending` says so."""

    first: bytes
    ending: Ending
    rest: bytes = b""


def page_requests(cookie: str, csrf: str) -> list[bytes]:
    """Return valid requests for the review page, of a person who has signed in, and for `POST /events`, signed now."""
    one = json.dumps(event()).encode()
    batch = json.dumps([event(id=f"evt-{number}") for number in range(3)]).encode()
    person = f"cookie: {cookie}\r\n".encode()
    length = b"content-length: %d\r\n"
    form = b"content-type: application/x-www-form-urlencoded\r\n" + length
    note = urlencode({"csrf": csrf, "note": "a note", "next": "/letters/dl-1"}).encode()
    name = urlencode({"csrf": csrf, "name": USER, "password": PASSWORD}).encode()
    return [
        _request(b"GET /health"),
        _request(b"GET /", person),
        _request(b"GET /letters?code=INVALID_LOGIN&state=any", person),
        _request(b"GET /audit", person),
        _request(b"POST /letters/dl-1/note", person + form % len(note), note),
        _request(b"POST /sign-in", form % len(name), name),
        _request(b"GET /sign-in/once?token=unknown"),
        _request(b"GET /static/app.css"),
        _request(b"GET /nothing?here"),
        _request(b"POST /events", _headers(STRUCTURED, one) + length % len(one), one),
        _request(b"POST /events", _headers(BATCH, batch) + length % len(batch), batch),
        _request(b"POST /events", _headers(STRUCTURED, one) + b"transfer-encoding: chunked\r\n", _in_chunks(one)),
        _request(b"POST /events", length % len(one), one),
        _request(b"GET /health") + _request(b"GET /health") + _request(b"GET /nothing"),
    ]


def metrics_requests() -> list[bytes]:
    """Return valid requests for the metrics endpoint."""
    return [_request(b"GET /metrics"), _request(b"HEAD /metrics?a=b"), _request(b"POST /metrics"), _request(b"GET /")]


def cuts(request: bytes) -> Iterator[Input]:
    """Cut a request at every position, with every ending."""
    for place in range(len(request) + 1):
        for ending in Ending:
            yield Input(request[:place], ending, request[place:] if ending is Ending.SENDS_THE_REST else b"")


def mistaken(requests: list[bytes], chance: random.Random) -> Input:
    """Return noise, or a request with up to five mistakes in it."""
    ending = chance.choice(list(Ending))
    if chance.random() < 0.25:
        return Input(chance.randbytes(int(MOST_BYTES ** chance.random())), ending)
    found = bytearray(chance.choice(requests))
    for _ in range(chance.randint(1, 5)):
        _make_a_mistake(found, chance)
    place = chance.randint(0, len(found)) if ending is Ending.SENDS_THE_REST else len(found)
    return Input(bytes(found[:place]), ending, bytes(found[place:]))


def _make_a_mistake(request: bytearray, chance: random.Random) -> None:
    start = chance.randint(0, len(request))
    end = min(len(request), start + chance.randint(1, 40))
    match chance.randrange(5):
        case 0:
            request[start:end] = b""
        case 1:
            request[start:start] = request[start:end] * chance.choice((1, 2, 200))
        case 2:
            request[start:start] = chance.choice(TOKENS)
        case 3:
            request[start:end] = chance.randbytes(end - start)
        case _:  # replace a header by an unknown one
            line = request.find(b"\r\n", start)
            request[line + 2 : line + 2] = chance.choice(TOKENS)


def _request(line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    return line + b" HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n" + body


def _headers(media_type: str, body: bytes) -> bytes:
    headers = {"content-type": media_type} | signed(body)
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())


def _in_chunks(body: bytes) -> bytes:
    parts = [body[start : start + 50] for start in range(0, len(body), 50)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
