"""Formats and reads the last attempts of a login: one JSON array a line, its values in the order of `FIELDS`."""

import json
from typing import Any

from worker.redis_client.connect import BytesRedis

FIELDS = ("at", "revision", "wish", "seconds", "outcome", "code", "worker", "http_status", "flinks_code", "message")
"""`at`: time of the claim, ms. `seconds`: duration of the call. `flinks_code`: Flinks' own code, if it differs
from `code`. Missing values are null, or left out at the end."""
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def attempt_text(**about: object) -> str:
    """Return an attempt as the ledger keeps it."""
    values = [about.get(name) for name in FIELDS]
    while values[-1] in {None, ""}:
        values.pop()
    return _to_json(values)


def read_attempts(client: BytesRedis, reference: str) -> list[dict[str, Any]]:
    """Return the stored attempts of a login, oldest first, each without missing values."""
    lines = (client.get(f"nightly:attempts:{reference}") or b"").splitlines()
    found = [zip(FIELDS, json.loads(line), strict=False) for line in lines]
    return [{name: value for name, value in attempt if value not in {None, ""}} for attempt in found]
