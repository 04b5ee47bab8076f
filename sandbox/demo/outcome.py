"""Checks the demo's result: each login has its newest wish, and every event is accounted for.

Compares the flags of the emulated Flinks with the mix, and Nightly's counters with the published events. The result
contains login references, never a loginId.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.demo.mix import Mix
from sandbox.demo.screen import Look
from worker.ledger.dead_letters import Letter

NAMED = 20
"""Maximum number of differing references on the screen; `--json` has all."""
_INDECISIVE_FAULTS = frozenset({"latency", "invalid_login"})
"""Faults of the demo that do not change whether a login is accepted."""


@dataclass(frozen=True)
class Evidence:
    """The state when all work was done or time was up."""

    look: Look
    letters: Sequence[Letter]
    flags: Mapping[str, bool]
    """The flags at the emulated Flinks, by loginId."""
    refusals: Mapping[str, int]
    """Calls that no fault decided, by loginId; for an unknown login the emulator refused each of them."""
    calls: int
    """Calls that the emulator counted."""
    seconds: float
    """Time from the first event until all work was done."""


@dataclass(frozen=True)
class Outcome:
    """The demo's result."""

    logins: int
    published: int
    tally: Mapping[str, int]
    dead_lettered: Mapping[str, int]
    rejected: Mapping[str, int]
    calls: int
    seconds: float
    differing: Sequence[str]
    is_accounted_for: bool
    still_open: Mapping[str, int]

    @property
    def is_right(self) -> bool:
        """Whether every check passed."""
        return self.is_accounted_for and not self.differing and not self.still_open

    @property
    def ended(self) -> int:
        """Events that have ended, by Nightly's own count."""
        return Look(rejected=sum(self.rejected.values()), tally=self.tally).ended

    @property
    def events_per_second(self) -> float:
        """Ended events per second, from the first event until all work was done."""
        return self.ended / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        names = ("applied_on", "applied_off", "superseded", "duplicate", "retried", "throttled", "ambiguous")
        return {
            "ok": self.is_right,
            "events": {"published": self.published, "ended": self.ended, "all_accounted_for": self.is_accounted_for},
            "logins": {
                "compared": self.logins,
                "equal": self.logins - len(self.differing),
                "differing": self.differing,
            },
            **{name: self.tally.get(name, 0) for name in names},
            "dead_lettered": self.dead_lettered,
            "rejected": self.rejected,
            "calls": self.calls,
            "seconds": round(self.seconds, 1),
            "events_per_second": round(self.events_per_second, 1),
            "still_open": self.still_open,
        }


def judge(mix: Mix, found: Evidence, reference: Callable[[str], str]) -> Outcome:
    """Return the result; `reference` returns the ledger's reference of a loginId."""
    tally = found.look.tally
    rejected: Counter[str] = Counter()
    for letter in found.letters:
        if letter.kind == "message":
            rejected[letter.code] += letter.seen
    is_accounted_for = (
        found.look.published == mix.events == found.look.ended
        and tally.get("recorded", 0) == mix.good
        and rejected == mix.rejected
        and sum(rejected.values()) == found.look.rejected
    )
    return Outcome(
        logins=mix.logins,
        published=found.look.published,
        tally=tally,
        dead_lettered={name.removeprefix("dead:"): count for name, count in tally.items() if name.startswith("dead:")},
        rejected=rejected,
        calls=found.calls,
        seconds=found.seconds,
        differing=sorted(reference(login) for login in _differing(mix, found, reference)),
        is_accounted_for=is_accounted_for,
        still_open=found.look.still_open,
    )


def refusals_of(calls: Iterable[Any]) -> Counter[str]:
    """Count, by loginId, the emulator's calls that no fault decided; counts of known logins are not used."""
    return Counter(call.login_id for call in calls if set(call.faults) <= _INDECISIVE_FAULTS)


def _differing(mix: Mix, found: Evidence, reference: Callable[[str], str]) -> Iterable[str]:
    """Yield each login with a wrong result: known ones, unknown ones, and any without an event."""
    letters: dict[str, list[str]] = {}
    for letter in found.letters:
        letters.setdefault(letter.login, []).append(letter.code)
    for login, wish in mix.newest.items():
        if found.flags.get(login) is not wish or reference(login) in letters:
            yield login
    for login in mix.unknown:
        is_refused_once = found.refusals.get(login, 0) == 1
        if login in found.flags or letters.get(reference(login)) != ["INVALID_LOGIN"] or not is_refused_once:
            yield login
    yield from found.flags.keys() - mix.newest.keys() - mix.unknown
