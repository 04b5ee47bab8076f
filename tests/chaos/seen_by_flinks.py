"""Judges the calls as Flinks saw them: overlaps, calls in flight, calls in a second.

Promise 4 holds for the lease of a call, so a call counts as in flight for its lease at most: that of a worker
stopped with its connection open would count forever at Flinks, although its login has long had another call.
"""

from collections.abc import Sequence

from sandbox.emulator.calls import Call

JITTER_SECONDS = 0.25
"""A lease begins with the claim, the call a little later."""


def overlaps_within_a_lease(calls: Sequence[Call], lease_seconds: float) -> list[tuple[int, int]]:
    """Return (older, newer) of every two calls for one login in flight at the same time within the lease of the
    older.
    """
    started_at = {call.seq: call.started_monotonic for call in calls}
    found = []
    for call in calls:
        older = call.overlapped_seq
        if older is not None and call.started_monotonic - started_at[older] < lease_seconds - JITTER_SECONDS:
            found.append((older, call.seq))
    return found


def most_at_once(calls: Sequence[Call], lease_seconds: float) -> int:
    """Return the most calls in flight at any moment."""
    moments = []
    for call in calls:
        until = call.started_monotonic + lease_seconds
        ended = until if call.ended_monotonic is None else min(until, call.ended_monotonic)
        moments += [(call.started_monotonic, 1), (ended, -1)]
    most = current = 0
    for _, step in sorted(moments):
        current += step
        most = max(most, current)
    return most


def fastest_second(moments: Sequence[float]) -> tuple[int, float]:
    """Return the largest number of times within one second, and when that second ended; the times are sorted."""
    most, ended_at, first = 0, 0.0, 0
    for number, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        if number - first + 1 > most:
            most, ended_at = number - first + 1, moment
    return most, ended_at
