"""Formats and reads the history of a troubled login: one JSON array a line, oldest first.

It has a line for each attempt from the first failure on; for each event that came while the login had failures or an
open dead letter; and for each action of a person on such a letter. lua/lib/history.lua keeps the last 30 lines. Of an
attempt that differs from the one before it only in time and duration, it keeps `[ms since that one, ms]`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from worker.ledger.stored_hash import LATEST_MS
from worker.redis_client.connect import BytesRedis

FIELDS = ("at", "ms", "revision", "wish", "code", "worker", "http_status", "outcome", "flinks_code", "message")
"""Of an attempt. `at`: time of the claim, ms. `ms`: duration of the call. `wish`: 1 (on) or 0. `outcome`: if it
is not `transient`. `flinks_code`: Flinks' own code, if it differs from `code`. Missing values are null, or left out at
the end."""
EVENT_FIELDS = ("at", "event_id", "wish", "occurred_us", "lane", "result")
"""Of an event, after the word `event`. `at`: when it was recorded, ms. `result`: `recorded` or `superseded`."""
ACTION_FIELDS = ("at", "by", "action", "letter", "entry", "text")
"""Of an action, after the word `action`. `entry`: its number in the audit log. `text`: note, reason, owner or date."""
_USUAL_OUTCOME = "transient"
_LIKE_THE_ONE_BEFORE = 2
"""Number of values of an attempt that has the others from the attempt before it."""
_FIELDS_OF = {"event": EVENT_FIELDS, "action": ACTION_FIELDS}
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def attempt_text(*, seconds: float | None = None, outcome: str | None = None, **others: object) -> str:
    """Return an attempt as the ledger keeps it: `others` are further values of FIELDS."""
    about = others | {
        "ms": None if seconds is None else round(seconds * 1000),
        "outcome": None if outcome == _USUAL_OUTCOME else outcome,
    }
    values = [about.get(name) for name in FIELDS]
    while values[-1] in {None, ""}:
        values.pop()
    return _to_json(values)


def read_history(client: BytesRedis, reference: str) -> list[dict[str, Any]]:
    """Return the history of a login, oldest first.

    Each line has its `kind` (attempt, event or action) and its fields, without missing values. An attempt has `seconds`
    instead of `ms`.
    """
    return read_lines(client.get(history_key(reference)))


def history_key(reference: str) -> str:
    """Return the key of a login's history."""
    return f"nightly:history:{reference}"


def read_lines(text: bytes | None) -> list[dict[str, Any]]:
    """Return the lines of a history as Redis has it, as `read_history` does.

    A line that a person damaged in Redis is an attempt with the outcome `unreadable`.
    """
    lines: list[dict[str, Any]] = []
    before: list[Any] = []
    for line in (text or b"").splitlines():
        kind, values = _parse(line)
        if kind == "attempt":
            before = values = _in_full(values, before)
        lines.append(_line(kind, values))
    return lines


def _in_full(values: list[Any], before: list[Any]) -> list[Any]:
    """Return all values of an attempt, given those of the attempt before it."""
    if len(values) != _LIKE_THE_ONE_BEFORE:
        return values
    wait, ms = values
    are_times = len(before) > _LIKE_THE_ONE_BEFORE and _is_number(before[0]) and _is_number(wait)
    return [before[0] + wait, ms, *before[_LIKE_THE_ONE_BEFORE:]] if are_times else []


def by_kind(history: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines in lists: `attempts`, `events` and `actions`, each line without its `kind`."""
    found: dict[str, list[dict[str, Any]]] = {"attempts": [], "events": [], "actions": []}
    for line in history:
        found[f"{line['kind']}s"].append({name: value for name, value in line.items() if name != "kind"})
    return found


def _parse(text: bytes) -> tuple[str, list[Any]]:
    try:
        first, *rest = json.loads(text)
        is_attempt = first not in _FIELDS_OF
    except (ValueError, TypeError, RecursionError):
        return "attempt", []
    return ("attempt", [first, *rest]) if is_attempt else (first, rest)


def _line(kind: str, values: Sequence[Any]) -> dict[str, Any]:
    found = zip(_FIELDS_OF.get(kind, FIELDS), values, strict=False)
    line = {name: value for name, value in found if value is not None and value != ""}
    line = {} if kind == "event" and "occurred_us" not in line else line
    if not line or not all(_TYPES.get(name, _is_text)(value) for name, value in line.items()):
        return dict(_UNREADABLE)
    if "wish" in line:
        line["wish"] = bool(line["wish"])
    if "ms" in line:
        line["seconds"] = line.pop("ms") / 1000
    return {"kind": kind} | ({"outcome": _USUAL_OUTCOME} if kind == "attempt" else {}) | line


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= LATEST_MS * 1000


_UNREADABLE: Mapping[str, str] = {"kind": "attempt", "outcome": "unreadable"}
_TYPES: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(("ms", "revision", "http_status", "entry", "occurred_us"), _is_number),
    "at": lambda value: _is_number(value) and value <= LATEST_MS,  # type: ignore[operator] # it is a number
    "wish": lambda value: isinstance(value, int) and value in {0, 1},
}
