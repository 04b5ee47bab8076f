"""The sessions of the review page, and links that sign in once, in Redis under hashes of their secret ids.

Who reads Redis finds no id that a browser could send. Records end by themselves, so their number is bounded.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What is kept about a person who has signed in."""

    name: str
    entry: str
    """Hash of what let the person in, such as the entry in REVIEW_USERS. Another hash now: the session is over."""
    how: str
    """password | link | oidc"""
    role: str
    opened_at: int = 0
    """ms"""


class Sessions:
    """The sessions behind one Redis client. `idle_ms` and `longest_ms` are their limits."""

    def __init__(
        self, client: BytesRedis, *, idle_ms: int, longest_ms: int, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._scripts = Scripts(client)
        self._idle_ms, self._longest_ms = idle_ms, longest_ms
        self._now_ms = now_ms

    def open(self, session_id: str, record: SessionRecord) -> None:
        """Keep the record of a new session; raises redis.RedisError."""
        limits = self._idle_ms, self._longest_ms
        fields = record.name, record.entry, record.how, record.role
        self._scripts.run("open_session", self._now(), _hash(session_id), *limits, *fields)

    def use(self, session_id: str, *, renews: bool) -> SessionRecord | None:
        """Return the record, None if the session has ended; `renews`: start its idle time again."""
        found = self._scripts.run("use_session", self._now(), _hash(session_id), self._idle_ms, "1" if renews else "")
        if not found:
            return None
        name, entry, how, role, opened_at = (value.decode("utf-8", "replace") for value in found)
        return SessionRecord(name, entry, how, role, int(opened_at))

    def end(self, session_id: str) -> None:
        """Delete a session; raises redis.RedisError."""
        self._scripts.run("end_session", _hash(session_id))

    def keep_link(self, token: str, name: str, *, valid_ms: int) -> None:
        """Let `token` sign in the person `name`, once, within `valid_ms`."""
        self._scripts.run("keep_sign_in_link", _hash(token), name, valid_ms)

    def use_link(self, token: str) -> str | None:
        """Return the name of the person whom `token` signs in, and forget the token; None if it is not valid."""
        name: bytes | None = self._scripts.run("use_sign_in_link", _hash(token))
        return None if name is None else name.decode()

    def _now(self) -> int | str:
        return self._now_ms() if self._now_ms else ""


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
