"""Answers that no honest server sends, and odd ones that honest servers do send; what each of them must come to."""

import gzip
from dataclasses import dataclass

from tests.integration.flinks.transport.calls import Failed
from tests.integration.flinks.transport.scripted import Step, send, send_forever
from tests.integration.misbehaving import CONFIRMED, reply
from worker.flinks.failures import FailureKind, Progress

CUT = 65_536
A = b"a"
GOOD, EVIL, NEXT = reply(b'"good"'), reply(b'"evil"'), reply(b'"next"')
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
NO_BODY = b"content-length: 0"
COMPRESSED = gzip.compress(CONFIRMED)
HINTS = b"HTTP/1.1 103 Early Hints"
UPGRADE = (b"upgrade: h2c", b"connection: upgrade")


@dataclass(frozen=True)
class Ends:
    """How the call ends, and what becomes of the connection."""

    ended: Failed | tuple[int, bytes]
    is_reused: bool | None
    """None: it may be."""


BROKEN = Ends(Failed(FailureKind.PROTOCOL, Progress.ANSWERED), is_reused=False)


def once(body: bytes = b"x", status: int = 200) -> Ends:
    """Return the ending of an answer whose connection is closed."""
    return Ends((status, body), is_reused=False)


def kept(body: bytes = b"x", status: int = 200) -> Ends:
    """Return the ending of an answer whose connection is used again."""
    return Ends((status, body), is_reused=True)


def head(*lines: bytes, status: bytes = OK[:-2]) -> bytes:
    """Return the head of an answer."""
    return b"\r\n".join([status, *lines, b"", b""])


def status(line: bytes, *lines: bytes) -> bytes:
    """Return the head of an answer with this status line and no body."""
    return head(*lines, NO_BODY, status=line)


def length(value: bytes, body: bytes = b"x") -> bytes:
    """Return an answer with this Content-Length."""
    return head(b"content-length: " + value) + body


def encoded(*values: bytes) -> bytes:
    """Return an answer with these headers Transfer-Encoding."""
    return head(*(b"transfer-encoding: " + value for value in values)) + END


def endless(piece: bytes, first: bytes) -> Step:
    """Return the step that never ends the answer."""
    return send_forever(piece, first=first)


# fmt: off
ENDLESS = {
    "a header without an end":          (endless(A * 9999, OK + b"x: "),                        BROKEN),
    "a header name without an end":     (endless(A * 9999, OK),                                 BROKEN),
    "headers without an end":           (endless(b"a: b\r\n" * 999, OK),                        BROKEN),
    "a reason without an end":          (endless(A * 9999, b"HTTP/1.1 200 "),                   BROKEN),
    "interim answers without an end":   (endless(head(status=b"HTTP/1.1 100 Continue"), b""),   BROKEN),
    "interim answers with a header":    (endless(head(b"x: " + A * 999, status=HINTS), b""),    BROKEN),
    "chunk extensions without an end":  (endless(A * 9999, CHUNKED + b"1;"),                    BROKEN),
    "small chunks, long extensions":    (endless(b"1;" + A * 999 + b"\r\nx\r\n", CHUNKED),      BROKEN),
    "trailers without an end":          (endless(b"a: b\r\n" * 999, CHUNKED + b"0\r\n"),        BROKEN),
    "a chunk size without an end":      (endless(b"0" * 999, CHUNKED),                          BROKEN),
    "a body of a terabyte":             (endless(A * CUT, head(b"content-length: 1%012d" % 0)), once(A * CUT)),
    "a chunk of a terabyte":            (endless(A * CUT, CHUNKED + b"FFFFFFFFFF\r\n"),         once(A * CUT)),
    "chunks without an end":            (endless(b"4000\r\n" + A * 0x4000 + b"\r\n", CHUNKED),  once(A * CUT)),
    "a body without a length":          (endless(A * CUT, head()),                              once(A * CUT)),
}
LONG = {
    "1,000 headers":                    (send(head(*[b"a: b"] * 1000, NO_BODY)),                BROKEN),
    "100 KiB of one header":            (send(head(b"x: " + A * 102_400, NO_BODY)),             BROKEN),
    "90 headers":                       (send(head(*[b"a: b"] * 90, NO_BODY)),                  kept(b"")),
    "20 KiB of headers":                (send(head(*[b"x: " + A * 1000] * 20, NO_BODY)),        kept(b"")),
    "1,000 trailers":                   (send(CHUNKED, b"0\r\n" + b"a: b\r\n" * 1000 + b"\r\n"), kept(b"")),
    "a trailer":                        (send(CHUNKED, b"1\r\nx\r\n0\r\na: b\r\n\r\n"),         kept()),
    "a chunk extension":                (send(CHUNKED, b"1;a=b\r\nx\r\n" + END),                kept()),
    "three interim answers":            (send(head(status=HINTS) * 3 + GOOD),                   kept(b'"good"')),
    "one byte more than the limit":     (send(length(b"65537", A * (CUT + 1))),                 once(A * CUT)),
    "exactly the limit":                (send(length(b"65536", A * CUT)),      Ends((200, A * CUT), is_reused=None)),
    "one byte at a time":               (send(*(bytes([byte]) for byte in GOOD)),               kept(b'"good"')),
}
LENGTHS = {
    "a length and chunks":              (send(head(b"content-length: 5", b"transfer-encoding: chunked"), END), BROKEN),
    "chunks and a length":              (send(head(b"transfer-encoding: chunked", b"content-length: 5"), END), BROKEN),
    "two lengths":                      (send(head(b"content-length: 1", b"content-length: 2"), b"xx"), BROKEN),
    "two lengths in one header":        (send(length(b"1, 2")),                                 BROKEN),
    "a negative length":                (send(length(b"-1")),                                   BROKEN),
    "a signed length":                  (send(length(b"+1")),                                   BROKEN),
    "a hexadecimal length":             (send(length(b"0x1")),                                  BROKEN),
    "an empty length":                  (send(length(b"")),                                     BROKEN),
    "a length beyond 64 bits":          (send(length(b"9" * 30)),                               BROKEN),
    "a body longer than its length":    (send(length(b"1", b"xyz")),                            once()),
    "a chunk beyond 64 bits":           (send(CHUNKED, b"F" * 17 + b"\r\nx"),                   BROKEN),
    "a chunk of a negative size":       (send(CHUNKED, b"-1\r\nx\r\n"),                         BROKEN),
    "a chunk longer than its size":     (send(CHUNKED, b"1\r\nxyz\r\n" + END),                  BROKEN),
    "an unknown transfer encoding":     (send(encoded(b"gzip")),                                BROKEN),
    "two transfer encodings":           (send(encoded(b"gzip, chunked")),                       BROKEN),
    "chunked is not the last one":      (send(encoded(b"chunked, gzip")),                       BROKEN),
    "almost chunked":                   (send(encoded(b"xchunked")),                            BROKEN),
    "chunked twice":                    (send(encoded(b"chunked", b"chunked")),                 BROKEN),
    "chunked, after identity":          (send(encoded(b"identity", b"chunked")),                BROKEN),
}
NOT_HTTP = {
    "HTTP 0.9":                         (send(b"hello\r\n"),                                    BROKEN),
    "a frame of HTTP 2":                (send(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18),          BROKEN),
    "the preface of HTTP 2":            (send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),             BROKEN),
    "the status line of HTTP 9.9":      (send(status(b"HTTP/9.9 200 OK")),                      BROKEN),
    "a request":                        (send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"),            BROKEN),
    "a TLS record":                     (send(b"\x15\x03\x01\0\x02\x02\x28"),                   BROKEN),
    "a status of two digits":           (send(status(b"HTTP/1.1 20 OK")),                       BROKEN),
    "a status of four digits":          (send(status(b"HTTP/1.1 2000 OK")),                     BROKEN),
    "a status in letters":              (send(status(b"HTTP/1.1 OK")),                          BROKEN),
    "status 0":                         (send(status(b"HTTP/1.1 000 OK")),                      BROKEN),
    "NUL in a header":                  (send(head(b"x: a\0b", NO_BODY)),                       BROKEN),
    "NUL in the name of a header":      (send(head(b"x\0: a", NO_BODY)),                        BROKEN),
    "a space before the colon":         (send(head(b"content-length : 0")),                     BROKEN),
    "a header without a colon":         (send(head(b"content-length")),                         BROKEN),
    "a bare CR in a header":            (send(head(b"x: a\rcontent-length: 0")),                BROKEN),
    "line ends without CR":             (send(GOOD.replace(b"\r\n", b"\n")),                    BROKEN),
    "101 without being asked":          (send(head(*UPGRADE, status=b"HTTP/1.1 101 Switching")), BROKEN),
    "101 without an upgrade":           (send(head(status=b"HTTP/1.1 101 Switching")),          BROKEN),
}
ODD = {
    "200 with an upgrade":              (send(head(*UPGRADE, b"content-length: 1"), b"x"),      kept()),
    "a compressed body":                (send(reply(COMPRESSED, "200 OK", "content-encoding: gzip")), kept(COMPRESSED)),
    "a redirect":                       (send(reply(b"", "307 Moved", "location: http://x/")),    kept(b"", 307)),
    "204 without a length":             (send(head(status=b"HTTP/1.1 204 No Content")),         kept(b"", 204)),
    "204 with a body":                  (send(head(status=b"HTTP/1.1 204 No Content") + b"xyz"), once(b"", 204)),
    "304 with a length":                (send(status(b"HTTP/1.1 304 Not")[:-5] + b"9\r\n\r\n"), kept(b"", 304)),
    "the status line of HTTP 2":        (send(status(b"HTTP/2.0 200 OK")),                      once(b"")),
    "no reason":                        (send(status(b"HTTP/1.1 200")),                         kept(b"")),
    "status 999":                       (send(status(b"HTTP/1.1 999 Odd")),                     kept(b"", 999)),
    "bytes beyond ASCII in a header":   (send(head(b"x: \xff\xfe", NO_BODY)),                   kept(b"")),
    "close among other tokens":         (send(head(b"connection: foo, close", NO_BODY)),        once(b"")),
    "close in capitals":                (send(head(b"CONNECTION: CLOSE", NO_BODY)),             once(b"")),
    "HTTP 1.0":                         (send(status(b"HTTP/1.0 200 OK")),                      once(b"")),
    "two answers in one packet":        (send(GOOD + EVIL),                                     once(b'"good"')),
    "an answer and half of another":    (send(GOOD + EVIL[:9]),                                 once(b'"good"')),
    "an answer and a line end":         (send(GOOD + b"\r\n"),            Ends((200, b'"good"'), is_reused=None)),
    "chunks, then another answer":      (send(CHUNKED + END + EVIL),                            once(b"")),
}
# fmt: on
