"""Every way in which a call can fail, by what the server does, and what the transport must say of it."""

from tests.integration.flinks.transport.calls import PATIENT
from tests.integration.flinks.transport.corrupted import corrupted
from tests.integration.flinks.transport.places import (
    address,
    certificate_of_the_client_missing,
    closed_port,
    closed_port_of_the_proxy,
    full_backlog,
    only_tls_1_1,
    proxied,
    tls_to,
    untrusted_proxy,
)
from tests.integration.flinks.transport.scripted import (
    MakePlace,
    over_tls,
    read,
    read_a_byte,
    read_half,
    rst,
    scripted,
    send,
    send_forever,
    stall,
    wait,
)
from tests.integration.misbehaving import CONFIRMED, reply
from worker.flinks.failures import FailureKind, Progress

NAME_NOT_FOUND, CONNECT, TLS, TIMEOUT, CLOSED, PROTOCOL = FailureKind
BEFORE, CONNECTED, WRITTEN, ANSWERED = Progress
BRIEF = 0.3
NORMAL, BRIEF_CONNECT, BRIEF_TOTAL = (PATIENT, PATIENT), (BRIEF, PATIENT), (PATIENT, BRIEF)
"""Seconds to connect, and in total."""
Row = tuple[MakePlace, FailureKind, Progress, int, tuple[float, float]]

STATUS = b"HTTP/1.1 200"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 85\r\n\r\n"
BODY = reply(CONFIRMED)[:-20]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
TO_SSH = (read, send(TUNNEL), read_a_byte, send(SSH))
DRIP = send_forever(b"a", every_seconds=0.02)

# The number is that of the requests that arrive at the server; a proxy gets the CONNECT.
# fmt: off
CONNECTING: dict[str, Row] = {
    "no such port":                     (closed_port,                             CONNECT,  BEFORE,   0, NORMAL),
    "no route to the network":          (address("http://255.255.255.255:9/"),    CONNECT,  BEFORE,   0, NORMAL),
    "connecting never ends":            (full_backlog,                            TIMEOUT,  BEFORE,   0, BRIEF_CONNECT),
}
HANDSHAKE: dict[str, Row] = {
    "certificate for another name":     (over_tls(read, host="localhost"),        TLS,      BEFORE,   0, NORMAL),
    "expired certificate":              (over_tls(read, hours=-1),                TLS,      BEFORE,   0, NORMAL),
    "unknown authority":                (over_tls(read, is_trusted=False),        TLS,      BEFORE,   0, NORMAL),
    "TLS 1.1 only":                     (only_tls_1_1,                            TLS,      BEFORE,   0, NORMAL),
    "plain text instead of TLS":        (tls_to(send(SSH), wait),                 TLS,      BEFORE,   0, NORMAL),
    "handshake never answered":         (tls_to(wait),                            TIMEOUT,  BEFORE,   0, BRIEF_CONNECT),
    "handshake closed":                 (tls_to(),                                CONNECT,  BEFORE,   0, NORMAL),
    "handshake reset":                  (tls_to(rst),                             CONNECT,  BEFORE,   0, NORMAL),
}
PROXY: dict[str, Row] = {
    "no such proxy":                    (closed_port_of_the_proxy,                CONNECT,  BEFORE,   0, NORMAL),
    "proxy with a wrong certificate":   (untrusted_proxy,                         TLS,      BEFORE,   0, NORMAL),
    "proxy refuses the credentials":    (proxied(read, send(REFUSED), wait),      CONNECT,  BEFORE,   1, NORMAL),
    "proxy never answers":              (proxied(read, wait),                     TIMEOUT,  BEFORE,   1, BRIEF_CONNECT),
    "proxy closes":                     (proxied(read),                           CONNECT,  BEFORE,   1, NORMAL),
    "proxy resets":                     (proxied(read, rst),                      CONNECT,  BEFORE,   1, NORMAL),
    "proxy answers nonsense":           (proxied(read, send(SSH), wait),          CONNECT,  BEFORE,   1, NORMAL),
    "proxy's answer never ends":        (proxied(read, send_forever(b"a" * 999)), CONNECT,  BEFORE,   1, NORMAL),
    "tunnel closed in the handshake":   (proxied(read, send(TUNNEL)),             CONNECT,  BEFORE,   1, NORMAL),
    "tunnel that begins with bytes":    (proxied(read, send(TUNNEL + SSH), wait), CONNECT,  BEFORE,   1, NORMAL),
    "tunnel to a server without TLS":   (proxied(*TO_SSH, wait),                  TLS,      BEFORE,   1, NORMAL),
    "tunnel that stays silent":         (proxied(read, send(TUNNEL), wait),       TIMEOUT,  BEFORE,   1, BRIEF_CONNECT),
}
LARGE_REQUEST: dict[str, Row] = {
    "closed at half the request":       (scripted(read_half),                     CLOSED,   WRITTEN,  0, NORMAL),
    "reset at half the request":        (scripted(read_half, rst),                CLOSED,   WRITTEN,  0, NORMAL),
    "half the request read":            (scripted(read_half, stall),              TIMEOUT,  WRITTEN,  0, BRIEF_TOTAL),
    "nothing of the request read":      (scripted(stall),                         TIMEOUT,  WRITTEN,  0, BRIEF_TOTAL),
    "answer begun at half the request": (scripted(read_half, send(HEAD)),         CLOSED,   ANSWERED, 0, NORMAL),
}
SENDING: dict[str, Row] = {
    "closed after the request":         (scripted(read),                          CLOSED,   WRITTEN,  1, NORMAL),
    "reset after the request":          (scripted(read, rst),                     CLOSED,   WRITTEN,  1, NORMAL),
    "silence after the request":        (scripted(read, wait),                    TIMEOUT,  WRITTEN,  1, BRIEF_TOTAL),
    "TLS, closed after the request":    (over_tls(read),                          CLOSED,   WRITTEN,  1, NORMAL),
    "TLS, reset after the request":     (over_tls(read, rst),                     CLOSED,   WRITTEN,  1, NORMAL),
    "TLS, silence after the request":   (over_tls(read, wait),                    TIMEOUT,  WRITTEN,  1, BRIEF_TOTAL),
    "TLS, it wants a certificate":      (certificate_of_the_client_missing,       TLS,      WRITTEN,  0, NORMAL),
    "TLS, damaged answer":              (corrupted(b"", HEAD),                    TLS,      WRITTEN,  1, NORMAL),
}
ANSWERING: dict[str, Row] = {
    "closed in the status line":        (scripted(read, send(STATUS)),            CLOSED,   ANSWERED, 1, NORMAL),
    "closed in the head":               (scripted(read, send(HEAD[:-3])),         CLOSED,   ANSWERED, 1, NORMAL),
    "closed before the body":           (scripted(read, send(HEAD)),              CLOSED,   ANSWERED, 1, NORMAL),
    "closed in the body":               (scripted(read, send(BODY)),              CLOSED,   ANSWERED, 1, NORMAL),
    "closed in a chunk":                (scripted(read, send(CHUNKED, b"9\r\na")), CLOSED,  ANSWERED, 1, NORMAL),
    "closed after all but the last chunk": (scripted(read, send(CHUNKED, b"1\r\na\r\n")), CLOSED, ANSWERED, 1, NORMAL),
    "closed after an interim answer":   (scripted(read, send(HINTS)),             CLOSED,   ANSWERED, 1, NORMAL),
    "reset in the head":                (scripted(read, send(HEAD[:-3]), rst),    CLOSED,   ANSWERED, 1, NORMAL),
    "reset in the body":                (scripted(read, send(BODY), rst),         CLOSED,   ANSWERED, 1, NORMAL),
    "reset in a body without a length": (scripted(read, send(STATUS + b"\r\n\r\na"), rst), CLOSED, ANSWERED, 1, NORMAL),
    "silence in the head":              (scripted(read, send(STATUS), wait),      TIMEOUT,  ANSWERED, 1, BRIEF_TOTAL),
    "silence in the body":              (scripted(read, send(BODY), wait),        TIMEOUT,  ANSWERED, 1, BRIEF_TOTAL),
    "silence after an interim answer":  (scripted(read, send(HINTS), wait),       TIMEOUT,  ANSWERED, 1, BRIEF_TOTAL),
    "a byte now and then":              (scripted(read, send(HEAD), DRIP),        TIMEOUT,  ANSWERED, 1, BRIEF_TOTAL),
    "nonsense instead of an answer":    (scripted(read, send(SSH), wait),         PROTOCOL, ANSWERED, 1, NORMAL),
    "nonsense instead of a chunk":      (scripted(read, send(CHUNKED, b"zz\r\n"), wait), PROTOCOL, ANSWERED, 1, NORMAL),
    "TLS, closed in the body":          (over_tls(read, send(BODY)),              CLOSED,   ANSWERED, 1, NORMAL),
    "TLS, nonsense":                    (over_tls(read, send(SSH), wait),         PROTOCOL, ANSWERED, 1, NORMAL),
    "TLS, damaged body":                (corrupted(HEAD, CONFIRMED),              TLS,      ANSWERED, 1, NORMAL),
}
# fmt: on
TABLE = CONNECTING | HANDSHAKE | PROXY | LARGE_REQUEST | SENDING | ANSWERING
CANNOT_HAPPEN = {
    # These end before there is a connection.
    *((kind, progress) for kind in (NAME_NOT_FOUND, CONNECT) for progress in Progress if progress > BEFORE),
    # A request is written in the same moment in which its connection is ready; only a close can come before that.
    *((kind, CONNECTED) for kind in FailureKind if kind is not CLOSED),
    # What is closed or breaks the protocol before there is a connection, is CONNECT.
    *((kind, BEFORE) for kind in (CLOSED, PROTOCOL)),
    # Nonsense is an answer that began.
    (PROTOCOL, WRITTEN),
}
