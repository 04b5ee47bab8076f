"""Shared by the tests of the protocol: one login, one moment, and a short way to a verdict."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from worker.flinks.outcome import Outcome, Verdict
from worker.flinks.protocol import decipher

KEY = "rabbit-key"
LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
APPLIED, TRANSIENT, THROTTLED, DEAD, HALT = Outcome


def judge(
    status: int,
    body: object = b"",
    headers: Mapping[str, str] | None = None,
    *,
    login_id: str = LOGIN,
    wants_active: bool = True,
) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decipher(status, headers or {}, raw, login_id=login_id, auth_key=KEY, wants_active=wants_active, now=NOW)


def error(code: object, status: object = 401, message: object = "Something is wrong") -> dict[str, object]:
    return {"HttpStatusCode": status, "Message": message, "FlinksCode": code}
