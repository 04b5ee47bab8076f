"""The closed set of outcomes that one call to Flinks can have.

outcome     what the answer means                          what the ledger does with the login
---------   --------------------------------------------   ---------------------------------------------
APPLIED     the flag has the wished state                  done at this revision
TRANSIENT   a temporary failure of Flinks or the network   waits (backoff), one attempt charged
THROTTLED   we call too fast                               waits, no attempt charged, the rate comes down
DEAD        this login or this request can never succeed   a dead letter, for a person
HALT        our own configuration is wrong                 stays due, no attempt charged, the gate closes

An unexpected answer is never APPLIED.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one answer means; the ledger acts on nothing else."""

    APPLIED = "applied"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    DEAD = "dead"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of one call.

    `code` is the FlinksCode if the answer had a known one, else a code of Nightly.
    `message` is Flinks' text with every identifier masked, at most 200 characters.
    """

    outcome: Outcome
    code: str
    http_status: int | None = None
    flinks_code: str | None = None
    message: str = ""
    retry_after_seconds: float | None = None
    """The server's wish, a floor under our own waiting time."""
    is_ambiguous: bool = False
    """The write may still land: no answer came back, or Flinks said that it has yet to carry the call out."""
    is_confirmed: bool = True
    """False for a 200 whose text says neither "activated" nor "deactivated"."""
    is_unreachable: bool = False
    """No such host, or a TLS failure: a few in a row mean that the address is wrong."""
    is_down: bool = False
    """No answer of Flinks' own: it, or the way to it, is down. Many such in a row are an outage."""
    is_slow_to_clear: bool = False
    """Flinks is busy with this very card: the first wait is tens of seconds."""
