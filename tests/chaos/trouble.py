"""Injects the disruptions of a schedule, each while calls are in flight, and ends those whose time is over."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from tests.chaos.crew import Crew
from tests.chaos.recovery import Recovery
from tests.chaos.report import Say
from tests.chaos.scene import Scene
from tests.chaos.schedule import Disruption, Kind

CONNECTION_DISRUPTIONS = set(Kind) - {
    Kind.KILL_WORKER,
    Kind.KILL_CHILD,
    Kind.STOP_WORKER,
    Kind.STOP_CHILD,
    Kind.STOP_ALL,
}
EARLY_PART = 0.02
"""The part of the events that is published before the first disruption."""
IDLE_SECONDS = 20.0


class Trouble:
    """`step` has to be called often; it returns whether everything is over."""

    def __init__(
        self,
        scene: Scene,
        crew: Crew,
        recovery: Recovery,
        *,
        disruptions: Sequence[Disruption],
        seconds: float,
        chance: Random,
    ) -> None:
        self._scene, self._crew, self._recovery = scene, crew, recovery
        self._disruptions, self._seconds, self._chance = disruptions, seconds, chance
        self._next = 0
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._began_at: float | None = None
        self._due_since: float | None = None
        self._is_redis_in_trouble = False
        self.injected: Counter[Kind] = Counter()
        self.moments: list[tuple[float, str]] = []
        """What was done when, on the monotonic clock."""
        self.injected_idle = 0

    @property
    def progress(self) -> float:
        """The part of the events that may have been published: never all while a disruption is to come."""
        if self._began_at is None:
            return EARLY_PART
        if self.is_over:
            return 1
        now, count = time.monotonic(), len(self._disruptions)
        share = (self._next + 1) / (count + 2)
        if self._due_since is not None:  # it waits for calls to disrupt, so let some events pass
            share += (now - self._due_since) / self._seconds
        by_time = (now - self._began_at) / self._seconds
        return EARLY_PART + (1 - EARLY_PART) * min(by_time, share, (count + 1) / (count + 2))

    @property
    def is_over(self) -> bool:
        return self._next == len(self._disruptions) and not self._undo

    def step(self) -> bool:
        """Do what is due now."""
        now = time.monotonic()
        for item in [item for item in self._undo if item[0] <= now]:
            self._undo.remove(item)
            item[1]()
        self._crew.look_after()
        if self._scene.is_redis_away:
            return False
        self._recovery.look()
        if self._began_at is None:
            self._began_at = now if self._scene.calls_settled() else None
        elif self._next < len(self._disruptions) and now - self._began_at >= self._disruptions[self._next].at_seconds:
            self._try(self._disruptions[self._next], now)
        return self.is_over

    def before(self, moment: float) -> str:
        """Return the last action before that moment (monotonic), and how long before."""
        earlier = [(moment - at, what) for at, what in self.moments if at <= moment]
        return "before the first disruption" if not earlier else f"{earlier[-1][0]:.1f} s after: {earlier[-1][1]}"

    def tell(self, say: Say) -> None:
        """Report the progress."""
        say(f"{self._next} of {len(self._disruptions)} disruptions, {self.progress:.0%} of the events")

    def _try(self, disruption: Disruption, now: float) -> None:
        if disruption.kind in CONNECTION_DISRUPTIONS and (self._is_redis_in_trouble or self._recovery.is_awaited):
            return
        self._due_since = self._due_since or now
        is_idle = now - self._due_since > IDLE_SECONDS
        if not is_idle and not self._scene.in_flight():
            return
        if not self._inject(disruption, now):
            return
        self._due_since = None
        self._next += 1
        self.injected_idle += is_idle
        self.injected[disruption.kind] += 1
        self.moments.append(
            (now, f"{disruption.kind} ({disruption.seconds:.1f} s)" if disruption.seconds else str(disruption.kind))
        )

    def _inject(self, disruption: Disruption, now: float) -> bool:
        match disruption.kind:
            case Kind.KILL_WORKER | Kind.KILL_CHILD:
                return self._crew.kill(disruption.kind, self._chance)
            case Kind.CUT | Kind.FORGET:
                self._recovery.begin(disruption.kind)
                middleman = self._scene.middleman
                return bool(middleman.cut() if disruption.kind is Kind.CUT else middleman.forget())
            case Kind.RESTART_REDIS:
                self._scene.kill_redis()
                self._undo.append((now + disruption.seconds, self._return_redis))
            case Kind.SILENCE:
                self._last(disruption, self._scene.middleman.silence, self._scene.middleman.go_on)
            case Kind.HOLD_BACK:
                self._last(disruption, self._scene.middleman.hold_back, self._scene.middleman.let_pass)
            case Kind.FILL_REDIS:
                self._last(disruption, self._scene.fill_redis, self._scene.empty_redis)
            case _:
                stopped = self._crew.stop(disruption.kind, self._chance)
                if stopped is None:
                    return False
                self._undo.append((now + disruption.seconds, lambda: self._crew.wake(*stopped)))
        return True

    def _last(self, disruption: Disruption, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """Begin a disruption of Redis that has an end."""

        def is_over() -> None:
            self._is_redis_in_trouble = False
            self._recovery.begin(disruption.kind)
            end()

        self._is_redis_in_trouble = True
        self._undo.append((time.monotonic() + disruption.seconds, is_over))
        begin()

    def _return_redis(self) -> None:
        self._scene.return_redis()
        self._recovery.begin(Kind.RESTART_REDIS)
        self._scene.middleman.open()
