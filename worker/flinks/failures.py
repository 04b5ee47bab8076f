"""The ways in which a call ends without an answer, and the verdict on each.

Two facts decide: what went wrong (`FailureKind`), and how far the call had got (`Progress`). A call may have been
carried out only if a part of its request was written.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum, auto

from worker.flinks.outcome import Outcome, Verdict


class FailureKind(Enum):
    """What went wrong."""

    NAME_NOT_FOUND = auto()
    CONNECT = auto()
    """No connection: refused, unreachable, refused by the proxy, or no answer from the name server."""
    TLS = auto()
    TIMEOUT = auto()
    CLOSED = auto()
    """The server closed or reset the connection."""
    PROTOCOL = auto()
    """What came is no answer that HTTP/1.1 allows, or is larger than any answer that we accept."""


class Progress(IntEnum):
    """How far a call had got."""

    NOT_CONNECTED = auto()
    CONNECTED = auto()
    """Nothing was written."""
    WRITTEN = auto()
    """The request was written, in part or whole."""
    ANSWERED = auto()
    """The answer had begun."""


_CODES: Mapping[FailureKind, str] = {
    FailureKind.NAME_NOT_FOUND: "name_not_found",
    FailureKind.CONNECT: "connect_failed",
    FailureKind.TLS: "tls_failure",
    FailureKind.TIMEOUT: "timeout",
    FailureKind.CLOSED: "connection_reset",
    FailureKind.PROTOCOL: "protocol_error",
}
_UNREACHABLE = frozenset({FailureKind.NAME_NOT_FOUND, FailureKind.TLS})


def verdict_of_failure(kind: FailureKind, progress: Progress) -> Verdict:
    """Return the verdict on a call without an answer: transient, and ambiguous if it may have been carried out."""
    return Verdict(
        Outcome.TRANSIENT,
        _CODES[kind],
        is_ambiguous=progress >= Progress.WRITTEN,
        is_unreachable=kind in _UNREACHABLE,
        is_down=True,
    )
