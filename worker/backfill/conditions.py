"""Reads `--where` and judges a login's fields by it: `applied<2026-11-01`, `wish=on`, `code!=INVALID_LOGIN`.

A condition on a field that a login does not have holds for `!=` alone. Does no I/O.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.errors import BackfillError
from worker.events.models import microseconds_since_1970

FIELDS: Mapping[str, str] = {
    "applied": "when the last call was confirmed",
    "wished": "the time of the newest event",
    "wish": "on or off",
    "state": "waiting, in_flight, applied (or done), dead_lettered (or dead)",
    "code": "the last code, such as INVALID_LOGIN; applied after a plain success",
    "account": "your own account id",
}
"""What a condition may name, with its meaning."""
_TIMES = frozenset({"applied", "wished"})
_STATES = {"waiting": "due", "due": "due", "in_flight": "flight", "flight": "flight", "applied": "done", "done": "done"}
_STATES |= {"dead_lettered": "dead", "dead": "dead"}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CONDITION = re.compile(r"([A-Za-z_]+)\s*+((?><=|>=|!=|<|>|=))\s*+(.+)", re.DOTALL)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of one login, as conditions see it; times in microseconds since 1970, None: never."""

    applied: int | None
    wished: int
    wish: str
    state: str
    code: str | None
    account: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition."""

    field: str
    operator: str
    value: str | int

    @classmethod
    def read(cls, text: str) -> "Condition":
        """Read one; raises BackfillError, which lists the fields, or says what the value should be."""
        found = _CONDITION.fullmatch(text.strip())
        if found is None or found[1] not in FIELDS:
            names = "; ".join(f"{name} ({meaning})" for name, meaning in FIELDS.items())
            raise BackfillError(f"a condition is FIELD, = != < <= > or >=, and a value. The fields are: {names}")
        name, sign, value = found.groups()
        if name in _TIMES:
            return cls(name, sign, microseconds(value))
        if sign not in {"=", "!="}:
            raise BackfillError(f"{name} can be compared by = and != alone")
        return cls(name, sign, _word(name, value))

    def holds(self, known: Known) -> bool:
        """Say whether it holds for a login."""
        found = getattr(known, self.field)
        if found is None:
            return self.operator == "!="
        return _OPERATORS[self.operator](found, self.value)


def microseconds(text: str) -> int:
    """Return a day (its beginning in UTC) or an RFC 3339 time as microseconds since 1970; raises BackfillError."""
    try:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            moment = moment.replace(tzinfo=UTC)
        return microseconds_since_1970(moment)
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without its zone
        raise BackfillError("a time is a day such as 2026-11-01, or 2026-11-01T08:00:00Z with its zone") from None


def _word(name: str, value: str) -> str:
    if name == "wish" and value not in {"on", "off"}:
        raise BackfillError("wish is on or off")
    if name == "state" and value not in _STATES:
        raise BackfillError(f"state is one of: {', '.join(_STATES)}")
    return _STATES[value] if name == "state" else value
