"""Says which dead letters a reader wants, and reads and writes that as the query of a URL. Does no I/O."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Self

from worker.errors import InvalidFilter

STATES = ("open", "snoozed", "closed", "replayed", "resolved", "superseded", "corrected", "any")
"""`open`: and not snoozed. `any` puts a closed letter at the time of its closing."""
WISHES = ("on", "off", "none")
"""`none`: rejected messages, whose wish could not be read."""
NOBODY = "-"
"""The owner of letters without one."""
LONGEST = 200
"""Characters of a value."""
_AGE = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
_AGE_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LATEST_MS = 253_402_300_799_000
_YES, _NO = {"1", "on", "true", "yes"}, {"", "0", "false", "no"}


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Wanted dead letters: those that match every field. None stands for any value."""

    instance: str | None = None
    code: str | None = None
    wish: str | None = None
    """One of WISHES."""
    source: str | None = None
    """`live`, `backfill`, or the id of a backfill."""
    filed_after: int | None = None
    """In milliseconds since 1970: filed then or later."""
    filed_before: int | None = None
    """In milliseconds since 1970: filed earlier."""
    attempts_at_least: int | None = None
    owner: str | None = None
    """A name, or NOBODY."""
    state: str = "open"
    """One of STATES."""
    newer_event: bool = False
    """Only letters whose login has a newer event."""
    only_suspects: bool = False
    """Only letters of a storm: a run of refusals that closed the gate."""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise InvalidFilter(f"the state is none of {', '.join(STATES)}")
        if self.wish is not None and self.wish not in WISHES:
            raise InvalidFilter(f"the wish is none of {', '.join(WISHES)}")

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, now_ms: int | None = None) -> Self:
        """Read the fields of a URL or a form; an empty value is none, and other names are ignored.

        A time is milliseconds, a date, an ISO 8601 time (UTC if it names no zone), or, with `now_ms`, an age such as
        `90m`, `24h` or `7d`. Raises InvalidFilter.
        """
        given = {name: value.strip() for name in _NAMES if (value := query.get(name) or "").strip()}
        if any(len(value) > LONGEST for value in given.values()):
            raise InvalidFilter(f"a value of the filter is longer than {LONGEST} characters")
        values: dict[str, object] = dict(given)
        for name in _TIMES & given.keys():
            values[name] = _time(name, given[name], now_ms)
        for name in _FLAGS & given.keys():
            values[name] = _flag(name, given[name])
        if "attempts_at_least" in given:
            values["attempts_at_least"] = _count(given["attempts_at_least"])
        return cls(**values)  # type: ignore[arg-type]

    @classmethod
    def of_group(cls, instance: str, code: str, wish: str) -> Self:
        """Return the filter of one group's open letters."""
        return cls(instance=instance or None, code=code, wish=wish or "none")

    def to_query(self) -> dict[str, str]:
        """Return the fields that differ from the default, for a URL; `from_query` reads them back."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        changed = {item.name: given[item.name] for item in fields(self) if given[item.name] != item.default}
        return {name: "1" if value is True else str(value) for name, value in changed.items()}

    def to_json(self) -> str:
        """Return the wanted fields for find_letters.lua."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in {None, False}})


_NAMES = tuple(item.name for item in fields(LetterFilter))
_TIMES = {"filed_after", "filed_before"}
_FLAGS = {"newer_event", "only_suspects"}


def _time(name: str, text: str, now_ms: int | None) -> int:
    age = _AGE.fullmatch(text)
    if age and now_ms is not None:
        return max(0, now_ms - int(age[1]) * _AGE_MS[age[2]])
    if text.isascii() and text.isdecimal() and int(text) <= _LATEST_MS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidFilter(f"{name} is neither a date, a time nor an age such as 24h or 7d") from None
    return max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))


def _flag(name: str, text: str) -> bool:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    raise InvalidFilter(f"{name} is neither 1 nor 0")


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    raise InvalidFilter("attempts_at_least is not a whole number")
