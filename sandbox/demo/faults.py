"""Chooses the faults of the emulated Flinks during the demo: for which logins, how often, and when.

Every fault affects a login once or twice, or fires a few times in all, so the demo ends.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

Fault = dict[str, Any]

LATENCY: Fault = {"knob": "latency", "milliseconds": 15, "jitter_ms": 10}
LATE_MS = 500
"""Delay of a late write after the caller gave up, well within the demo's FLINKS_SETTLE_SECONDS."""
UNKNOWN_BUSY_SHARE = 0.1
"""Share of the unknown logins that get a busy answer before INVALID_LOGIN."""

# Share of the known logins that a fault affects, and the fault.
_SHARES: Sequence[tuple[float, Fault]] = (
    (0.08, {"knob": "retry_later", "once_per_login": 2}),
    (0.05, {"knob": "server_error", "once_per_login": 1}),
    (0.03, {"knob": "outage", "once_per_login": 1}),  # a bare 503
    (0.03, {"knob": "html_502", "once_per_login": 1}),
    (0.02, {"knob": "commit_then_timeout", "once_per_login": 1}),
    (0.02, {"knob": "timeout_then_commit_late", "late_ms": LATE_MS, "once_per_login": 1}),
    (0.02, {"knob": "reset", "once_per_login": 1}),
    (0.01, {"knob": "reset", "once_per_login": 1, "commits": True}),
)
# Each volley slows all calls down, so volleys are set one at a time. Each affects the next `times` calls.
_VOLLEYS: Sequence[Fault] = (
    {"knob": "too_many_requests", "times": 8, "probability": 0.8},
    {"knob": "rate_limited", "retry_after": "seconds", "seconds": 1, "times": 3, "probability": 0.8},
    {"knob": "rate_limited", "retry_after": "http_date", "seconds": 2, "times": 3, "probability": 0.8},
)


def always(known: Sequence[str], unknown: Sequence[str], chance: Random) -> list[Fault]:
    """Return the faults that are set from the beginning, at most one per known login."""
    busy = list(unknown[: math.ceil(UNKNOWN_BUSY_SHARE * len(unknown))])
    faults = [LATENCY, {"knob": "retry_later", "once_per_login": 1, "logins": busy}]
    at_401 = list(unknown[len(unknown) // 2 :])  # the contract says 400, the error-code page 401
    faults.append({"knob": "invalid_login", "status": 401, "logins": at_401})
    rest = chance.sample(list(known), len(known))
    for share, fault in _SHARES:
        count = math.ceil(share * len(known))
        faults.append(fault | {"logins": rest[:count]})
        rest = rest[count:]
    return faults


def volleys(chance: Random) -> list[Fault]:
    """Return the throttling faults, which are set one after another."""
    return [fault | {"seed": chance.getrandbits(31)} for fault in _VOLLEYS]
