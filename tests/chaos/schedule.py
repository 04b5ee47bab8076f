"""Draws the times of the disruptions in a chaos run. The same seed draws the same schedule."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """A kind of disruption."""

    KILL_WORKER = "worker killed"
    KILL_CHILD = "pool child killed"
    STOP_WORKER = "worker's parent stopped"
    STOP_CHILD = "pool child stopped"
    STOP_ALL = "whole worker stopped"
    RESTART_REDIS = "Redis killed and restarted"
    CUT = "connections reset"
    SILENCE = "connections half-open"
    FORGET = "connections forgotten"
    HOLD_BACK = "traffic held back"
    FILL_REDIS = "Redis full"


@dataclass(frozen=True, slots=True, order=True)
class Disruption:
    """One disruption; `seconds` is its duration, if it has one."""

    at_seconds: float
    kind: Kind
    seconds: float = 0


def draw_disruptions(
    *,
    kills: int,
    stops: int,
    redis_restarts: int,
    fillings: int,
    cuts: int,
    seconds: float,
    lease_seconds: float,
    chance: Random,
) -> list[Disruption]:
    """Draw a number of disruptions of each kind over the run.

    A stop outlasts a lease. Of ten cuts two are silences before the cut, one is a silence without a cut, and one is
    congestion for up to nearly a lease.
    """

    def times(count: int, lasting: float = 0) -> Iterator[float]:
        room = max(0.1 * seconds, 0.9 * seconds - lasting)
        for number in range(count):
            yield 0.03 * seconds + room * (number + chance.random()) / count

    stopping = [Kind.STOP_CHILD, Kind.STOP_WORKER, Kind.STOP_ALL]
    stop_seconds = lease_seconds + 1
    disruptions = [Disruption(at, (Kind.KILL_WORKER, Kind.KILL_CHILD)[n % 2]) for n, at in enumerate(times(kills))]
    disruptions += [
        Disruption(at, stopping[n % 3], stop_seconds + chance.uniform(0, min(10, seconds / 8)))
        for n, at in enumerate(times(stops, stop_seconds))
    ]
    disruptions += [Disruption(at, Kind.RESTART_REDIS, chance.uniform(0, 2)) for at in times(redis_restarts)]
    disruptions += [Disruption(at, Kind.FILL_REDIS, chance.uniform(0.5, 3)) for at in times(fillings)]
    lasting = {
        Kind.SILENCE: min(12, seconds / 8),  # 12 s: beyond every timeout of a client's socket
        Kind.HOLD_BACK: min(lease_seconds, seconds / 8),
    }
    for n, at in enumerate(times(cuts)):
        kind = {1: Kind.SILENCE, 4: Kind.HOLD_BACK, 6: Kind.SILENCE, 8: Kind.FORGET}.get(n % 10, Kind.CUT)
        disruptions.append(Disruption(at, kind, chance.uniform(0.2, lasting[kind]) if kind in lasting else 0))
    return sorted(disruptions)
