"""Parses REVIEW_USERS, and authenticates users of the review page against it.

A check takes a third of a second of CPU on purpose. A correct password is remembered until the process ends, as a hash
under a random key of this process. So a flood of guesses cannot lock out a user who logged in before.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from worker.errors import SettingsError
from worker.listening import network_of
from worker.telemetry.rare_line import RareLine
from worker.web.review.password_checks import Checks, Recent, TooManyChecks
from worker.web.review.passwords import hash_password, is_hash, matches

ROLES = ("viewer", "operator", "admin")
REMEMBERED_WRONG = 1_000
"""Number of wrong credentials that are remembered, and refused again without a check."""
REMEMBERED_NOT_CHECKED = 10_000
"""Number of remembered credentials that found the queue full, and have precedence when they come back."""
FAILED_LINES_A_MINUTE = 10
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class User:
    """One entry of REVIEW_USERS."""

    name: str
    role: str
    hashed: str


def parse_users(text: str) -> Mapping[str, User]:
    """Return the users by name; raises SettingsError with a line for each wrong entry, without its content."""
    users: dict[str, User] = {}
    lines = []
    for position, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, role, hashed = (*entry.split(":"), "", "", "")[:3]
        problem = _problem(entry, name, role, hashed) or ("the name is used twice" if name in users else "")
        if problem:
            lines.append(f"REVIEW_USERS (entry {position}): {problem}")
        users[name] = User(name, role, hashed)
    if lines:
        raise SettingsError(lines)
    return users


def _problem(entry: str, name: str, role: str, hashed: str) -> str:
    if len(entry.split(":")) != len(("name", "role", "hash")):
        return "must be name:role:password-hash"
    if not _NAME.fullmatch(name):
        return "the name must be letters, digits and . _ @ -"
    if role not in ROLES:
        return f"the role must be one of {', '.join(ROLES)}"
    return "" if is_hash(hashed) else "the hash must be one that `nightly users hash` printed"


class Doorkeeper:
    """Checks the `Authorization` header of HTTP Basic. Used from one event loop."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self.failed = 0
        """Number of log-ins with a wrong name or password since the start."""
        self.turned_away = 0
        """Number of log-ins that were not checked, because the queue was full."""
        self._users = users
        self._secret = os.urandom(32)
        self._admitted: dict[bytes, User] = {}
        self._wrong, self._not_checked = Recent(REMEMBERED_WRONG), Recent(REMEMBERED_NOT_CHECKED)
        self._checks = Checks()
        self._failed_line = RareLine("login_failed", lines=FAILED_LINES_A_MINUTE)
        self._turned_away_line = RareLine("logins_turned_away")
        self._unknown_user = User("", "", hash_password(base64.b64encode(os.urandom(16)).decode())) if users else None

    async def admit(self, header: str, address: str) -> User | None:
        """Return the user whose name and password are in the header, or None; raises TooManyChecks."""
        name, password = credentials(header)
        if self._unknown_user is None or not name:
            return None
        digest = hmac.digest(self._secret, f"{name}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        known = self._users.get(name)
        if admitted := self._admitted.get(digest):
            return admitted
        try:
            # An unknown name costs as much as a known one. Names are still not secret: during a flood, unknown names
            # find their shared queue full, and a known name has a queue of its own.
            is_right = await self._check(known or self._unknown_user, password, digest, network_of(address))
        except TooManyChecks:
            self._not_checked.add(digest)
            self.turned_away += 1
            self._turned_away_line.say(address=address)
            raise
        if is_right and known is not None:
            self._admitted[digest] = known
            return known
        self._fail(known, digest, address)
        return None

    async def _check(self, user: User, password: str, digest: bytes, network: str) -> bool:
        if digest in self._wrong:
            return False
        # All unknown names share one queue, so a flood of names cannot create any number of queues.
        await self._checks.turn(network, user.name, came_back=digest in self._not_checked)
        try:
            if digest in self._wrong:  # the same credentials were checked while this log-in waited
                return False
            return await asyncio.to_thread(matches, password, user.hashed)
        finally:
            self._checks.done()

    def _fail(self, known: User | None, digest: bytes, address: str) -> None:
        """Count and log a failed log-in. An unknown name is not logged: people type passwords in the wrong field."""
        self._wrong.add(digest)
        self.failed += 1
        self._failed_line.say(user=known.name if known else "(unknown)", address=address)


def credentials(header: str) -> tuple[str, str]:
    """Return the name and password of a Basic `Authorization` header, or two empty strings."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (name, password) if colon else ("", "")
