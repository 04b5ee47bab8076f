"""The request of one call and its effect (answer, write, delay, ending): the values that faults change."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from sandbox.emulator.replies import Reply


class Ending(StrEnum):
    """How a call ends on its connection."""

    ANSWER = "answer"
    DRIBBLE = "dribble"
    """The answer comes a few bytes at a time."""
    CUT = "cut"
    """Half of the announced body, then the connection closes."""
    SILENCE = "silence"
    """No byte until the client gives up."""
    RESET = "reset"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Effect:
    """Everything that one call will do; times in seconds."""

    reply: Reply
    commits: bool
    """The write is made: before the ending, or `late_seconds` after the client gave up."""
    ending: Ending = Ending.ANSWER
    delay_seconds: float = 0
    late_seconds: float | None = None
    step_seconds: float = 0
    bytes_per_step: int = 1
    knobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """The request of one call; `login_id` and `wish` are None if they could not be read."""

    customer_id: str
    login_id: str | None
    wish: bool | None
    wall_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What a fault sees when it fires: the effect so far, the request, and the fault's own random numbers."""

    effect: Effect
    asked: Asked
    rng: Random
