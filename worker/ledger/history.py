"""Formats and reads the history of a troubled login: one JSON array a line, oldest first.

It has a line for each attempt from the first failure on; for each event that came while the login had failures or an
open dead letter; and for each action of a person on such a letter. lua/lib/history.lua keeps the last 30 lines.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from worker.redis_client.connect import BytesRedis

FIELDS = ("at", "revision", "wish", "seconds", "outcome", "code", "worker", "http_status", "flinks_code", "message")
"""Of an attempt. `at`: time of the claim, ms. `seconds`: duration of the call. `flinks_code`: Flinks' own code, if it
differs from `code`. Missing values are null, or left out at the end."""
EVENT_FIELDS = ("at", "event_id", "wish", "occurred_us", "lane", "result")
"""Of an event, after the word `event`. `at`: when it was recorded, ms. `result`: `recorded` or `superseded`."""
ACTION_FIELDS = ("at", "by", "action", "letter", "entry", "text")
"""Of an action, after the word `action`. `entry`: its number in the audit log. `text`: note, reason, owner or date."""
_FIELDS_OF = {"event": EVENT_FIELDS, "action": ACTION_FIELDS}
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def attempt_text(**about: object) -> str:
    """Return an attempt as the ledger keeps it."""
    values = [about.get(name) for name in FIELDS]
    while values[-1] in {None, ""}:
        values.pop()
    return _to_json(values)


def read_history(client: BytesRedis, reference: str) -> list[dict[str, Any]]:
    """Return the history of a login, oldest first.

    Each line has its `kind` (attempt, event or action) and its fields, without missing values.
    """
    return read_lines(client.get(history_key(reference)))


def history_key(reference: str) -> str:
    """Return the key of a login's history."""
    return f"nightly:history:{reference}"


def read_lines(text: bytes | None) -> list[dict[str, Any]]:
    """Return the lines of a history as Redis has it, as `read_history` does."""
    return [_line(line) for line in (text or b"").splitlines()]


def by_kind(history: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines in lists: `attempts`, `events` and `actions`, each line without its `kind`."""
    found: dict[str, list[dict[str, Any]]] = {"attempts": [], "events": [], "actions": []}
    for line in history:
        found[f"{line['kind']}s"].append({name: value for name, value in line.items() if name != "kind"})
    return found


def _line(text: bytes) -> dict[str, Any]:
    values = json.loads(text)
    kind = values.pop(0) if values[0] in _FIELDS_OF else "attempt"
    found = zip(_FIELDS_OF.get(kind, FIELDS), values, strict=False)
    return {"kind": kind} | {name: value for name, value in found if value not in {None, ""}}
