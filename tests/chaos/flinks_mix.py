"""Draws the faults of the emulated Flinks: about one call in ten fails, in every temporary way.

No fault here makes a dead letter or closes the gate; logins unknown to Flinks are drawn with the traffic. A late
write lands within timeout + settle of its call. It is a slow response and not a silence, because a worker that is
stopped disconnects late, and no server waits for that.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

Fault = dict[str, Any]

LATE_SHARE = 0.01
# The share of calls with the fault, and the fault. The first matching fault applies.
FAILING: tuple[tuple[float, Fault], ...] = (
    (0.010, {"knob": "server_error"}),
    (0.015, {"knob": "retry_later"}),
    (0.005, {"knob": "error_in_200"}),
    (0.003, {"knob": "flinks_error", "status": 401, "code": "DISABLED_INSTITUTION"}),
    (0.003, {"knob": "flinks_error", "status": 401, "code": "SESSION_EXPIRED"}),
    (0.004, {"knob": "flinks_error", "status": 503, "code": "SCHEDULED_RETRY_LATER"}),
    (0.010, {"knob": "outage"}),
    (0.005, {"knob": "outage", "mode": "refuse"}),
    (0.010, {"knob": "html_502"}),
    (0.005, {"knob": "truncated_http"}),
    (0.005, {"knob": "reset"}),
    (0.005, {"knob": "reset", "commits": True}),
    (0.005, {"knob": "commit_then_timeout"}),
    (0.005, {"knob": "slow_body", "step_ms": 50}),
)
# A truncated refusal names no code and rightly becomes a dead letter, so only logins that Flinks knows get it.
TRUNCATED: Fault = {"knob": "truncated_json", "probability": 0.01}
# These succeed with an odd response.
ODD: tuple[tuple[float, Fault], ...] = (
    (0.010, {"knob": "slow_body", "step_ms": 5, "bytes_per_step": 4}),
    (0.005, {"knob": "unconfirmed"}),
)
# Each slows a login or all logins down, so it applies to a limited number of calls in the run.
SLOWING: tuple[Fault, ...] = (
    {"knob": "too_many_requests"},
    {"knob": "rate_limited", "retry_after": "seconds", "seconds": 1},
    {"knob": "rate_limited", "retry_after": "http_date", "seconds": 2},
    {"knob": "rate_limited", "retry_after": "none"},
    {"knob": "card_in_use"},
    {"knob": "operation_pending"},
)


def troubles(timeout_seconds: float, slowed_calls: int, known: Sequence[str], chance: Random) -> list[Fault]:
    """Return the faults to set: a usual delay, late writes, failures, odd responses, and calls that slow down.

    Short runs should not use slow calls: they would reach only a fraction of their rate.
    """
    late = {"knob": "latency", "milliseconds": 1300 * timeout_seconds, "jitter_ms": 500 * timeout_seconds}
    slowing = SLOWING if slowed_calls else ()
    faults: list[Fault] = [
        {"knob": "latency", "milliseconds": 20, "jitter_ms": 30},
        late | {"probability": LATE_SHARE},
        *(fault | {"probability": 0.02, "times": slowed_calls} for fault in slowing),
        TRUNCATED | {"logins": list(known)},
        *(fault | {"probability": share} for share, fault in (*FAILING, *ODD)),
    ]
    return [fault | {"seed": chance.getrandbits(31)} for fault in faults]
