"""Injects the faults of a schedule, each while calls are in flight, and ends those whose time is over."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from tests.chaos.crew import Crew
from tests.chaos.recovery import Recovery
from tests.chaos.report import Say
from tests.chaos.scene import Scene
from tests.chaos.schedule import Blow, Kind

CONNECTION_BLOWS = set(Kind) - {Kind.KILL_WORKER, Kind.KILL_CHILD, Kind.STOP_WORKER, Kind.STOP_CHILD, Kind.STOP_ALL}
EARLY_PART = 0.02
"""So much is published before the first blow."""
IDLE_SECONDS = 20.0


class Trouble:
    """`step` has to be called often; it returns whether everything is over."""

    def __init__(
        self, scene: Scene, crew: Crew, recovery: Recovery, *, blows: Sequence[Blow], seconds: float, chance: Random
    ) -> None:
        self._scene, self._crew, self._recovery = scene, crew, recovery
        self._blows, self._seconds, self._chance = blows, seconds, chance
        self._next = 0
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self._began_at: float | None = None
        self._due_since: float | None = None
        self._is_redis_in_trouble = False
        self.struck: Counter[Kind] = Counter()
        self.moments: list[tuple[float, str]] = []
        """What was done when, on the monotonic clock."""
        self.struck_idle = 0

    @property
    def progress(self) -> float:
        """The part of the events that may have been published: never all while a fault is to come."""
        if self._began_at is None:
            return EARLY_PART
        if self.is_over:
            return 1
        by_time = (time.monotonic() - self._began_at) / self._seconds
        return EARLY_PART + (1 - EARLY_PART) * min(by_time, (self._next + 1) / (len(self._blows) + 2))

    @property
    def is_over(self) -> bool:
        return self._next == len(self._blows) and not self._undo

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
        elif self._next < len(self._blows) and now - self._began_at >= self._blows[self._next].at_seconds:
            self._try(self._blows[self._next], now)
        return self.is_over

    def before(self, moment: float) -> str:
        """Return the last action before that moment (monotonic), and how long before."""
        earlier = [(moment - at, what) for at, what in self.moments if at <= moment]
        return "before the first blow" if not earlier else f"{earlier[-1][0]:.1f} s after: {earlier[-1][1]}"

    def tell(self, say: Say) -> None:
        """Report the progress."""
        say(f"{self._next} of {len(self._blows)} blows, {self.progress:.0%} of the events")

    def _try(self, blow: Blow, now: float) -> None:
        if blow.kind in CONNECTION_BLOWS and (self._is_redis_in_trouble or self._recovery.is_awaited):
            return
        self._due_since = self._due_since or now
        is_idle = now - self._due_since > IDLE_SECONDS
        if not is_idle and not self._scene.in_flight():
            return
        if not self._strike(blow, now):
            return
        self._due_since = None
        self._next += 1
        self.struck_idle += is_idle
        self.struck[blow.kind] += 1
        self.moments.append((now, f"{blow.kind} ({blow.seconds:.1f} s)" if blow.seconds else str(blow.kind)))

    def _strike(self, blow: Blow, now: float) -> bool:
        match blow.kind:
            case Kind.KILL_WORKER | Kind.KILL_CHILD:
                return self._crew.kill(blow.kind, self._chance)
            case Kind.CUT | Kind.FORGET:
                self._recovery.begin(blow.kind)
                middleman = self._scene.middleman
                return bool(middleman.cut() if blow.kind is Kind.CUT else middleman.forget())
            case Kind.RESTART_REDIS:
                self._scene.kill_redis()
                self._undo.append((now + blow.seconds, self._return_redis))
            case Kind.SILENCE:
                self._last(blow, self._scene.middleman.silence, self._scene.middleman.go_on)
            case Kind.HOLD_BACK:
                self._last(blow, self._scene.middleman.hold_back, self._scene.middleman.let_pass)
            case Kind.FILL_REDIS:
                self._last(blow, self._scene.fill_redis, self._scene.empty_redis)
            case _:
                stopped = self._crew.stop(blow.kind, self._chance)
                if stopped is None:
                    return False
                self._undo.append((now + blow.seconds, lambda: self._crew.wake(*stopped)))
        return True

    def _last(self, blow: Blow, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """Begin a fault of Redis that has an end."""

        def is_over() -> None:
            self._is_redis_in_trouble = False
            self._recovery.begin(blow.kind)
            end()

        self._is_redis_in_trouble = True
        self._undo.append((time.monotonic() + blow.seconds, is_over))
        begin()

    def _return_redis(self) -> None:
        self._scene.return_redis()
        self._recovery.begin(Kind.RESTART_REDIS)
        self._scene.middleman.open()
