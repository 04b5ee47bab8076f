"""Decides which of the configured faults applies to a call, and computes the effect.

Delays add up; of the other faults, the first that fires wins. An invalid request writes nothing under any fault.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from sandbox.emulator.effects import Asked, Effect, Situation
from sandbox.emulator.knobs import AnyFault, Fault


@dataclass(frozen=True, slots=True)
class FaultReport:
    """One active fault: its number, how often it fired, and the request that set it."""

    id: int
    fired: int
    fault: AnyFault


class ActiveFault:
    """A fault with its own random numbers and counters."""

    def __init__(self, number: int, fault: Fault, set_monotonic: float) -> None:
        self.number = number
        self.fault = fault
        self.fired = 0
        self.rng = Random(fault.seed)  # noqa: S311 - faults must be replayable
        self._seen_by_login: Counter[tuple[str, str]] = Counter()
        self._ends_monotonic = None if fault.for_seconds is None else set_monotonic + fault.for_seconds

    def is_spent(self, monotonic: float) -> bool:
        """Return whether it can never fire again."""
        used_up = self.fault.times is not None and self.fired >= self.fault.times
        return used_up or (self._ends_monotonic is not None and monotonic >= self._ends_monotonic)

    def fires(self, asked: Asked, monotonic: float) -> bool:
        """Return whether it affects this call, and count it."""
        if self.is_spent(monotonic) or not self._aims_at(asked):
            return False
        if self.fault.probability < 1 and self.rng.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True

    def _aims_at(self, asked: Asked) -> bool:
        fault = self.fault
        if fault.customers is not None and asked.customer_id not in fault.customers:
            return False
        if fault.logins is not None and asked.login_id not in fault.logins:
            return False
        if fault.once_per_login is None:
            return True
        login = (asked.customer_id, asked.login_id or "")
        self._seen_by_login[login] += 1
        return self._seen_by_login[login] <= fault.once_per_login


class FaultBoard:
    """The faults in the order in which they were set, spent ones included."""

    def __init__(self) -> None:
        self._active: list[ActiveFault] = []
        self._last_number = 0

    def add(self, faults: Iterable[Fault], monotonic: float) -> None:
        """Set further faults."""
        for fault in faults:
            self._last_number += 1
            self._active.append(ActiveFault(self._last_number, fault, monotonic))

    def clear(self, number: int | None = None) -> bool:
        """Remove one fault or all; return whether any was removed."""
        kept = [] if number is None else [item for item in self._active if item.number != number]
        has_removed = len(kept) < len(self._active)
        self._active = kept
        return has_removed

    def report(self) -> list[FaultReport]:
        """List every fault, spent ones included."""
        return [FaultReport(item.number, item.fired, item.fault) for item in self._active]

    def apply(self, honest: Effect, asked: Asked, monotonic: float) -> Effect:
        """Return the effect of the call with the faults applied; `honest` is its effect without faults."""
        effect, is_decided = honest, False
        for item in self._active:
            if is_decided and not item.fault.only_delays:
                continue
            if item.fires(asked, monotonic):
                effect = item.fault.distort(Situation(effect, asked, item.rng))
                is_decided = is_decided or not item.fault.only_delays
        return effect
