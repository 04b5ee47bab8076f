"""The closed set of outcomes that one call to Flinks can have.

outcome     what the answer means                          what the ledger does with the login
---------   --------------------------------------------   ---------------------------------------------
APPLIED     the flag has the wished state                  done at this revision
TRANSIENT   a temporary failure of Flinks or the network   backs off, one attempt charged
THROTTLED   we call too fast                               waits, no attempt charged, the rate drops
DEAD        this login or this request can never succeed   becomes a dead letter, for a person
HALT        our own configuration is wrong                 stays due, no attempt charged, the gate shuts

Only a 2xx without an error is APPLIED.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one answer means for its login. The other fields of a Verdict refine it."""

    APPLIED = "applied"
    TRANSIENT = "transient"
    THROTTLED = "throttled"
    DEAD = "dead"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of one call.

    `code` is the FlinksCode if the answer had a known one, else one of Nightly's own codes. `message` is Flinks' text
    with every identifier masked, at most 200 characters.
    """

    outcome: Outcome
    code: str
    http_status: int | None = None
    flinks_code: str | None = None
    message: str = ""
    retry_after_seconds: float | None = None
    """The server's Retry-After: the minimum of our own wait."""
    is_ambiguous: bool = False
    """The write may still land: no answer came back, or Flinks accepted the call without carrying it out yet."""
    is_confirmed: bool = True
    """False for a 200 whose text says neither "activated" nor "deactivated"."""
    is_unreachable: bool = False
    """The host does not exist, or TLS failed. A few in a row mean that the address is wrong."""
    is_down: bool = False
    """The answer is not from Flinks: Flinks or the network to it is down. Many in a row are an outage."""
    is_slow_to_clear: bool = False
    """Flinks is busy with this card: the first wait is tens of seconds."""
