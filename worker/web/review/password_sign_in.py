"""Authenticates people by name and password against REVIEW_USERS.

A check takes a third of a second of CPU on purpose. A correct password is remembered until the process ends, as a hash
under a random key of this process. So a flood of guesses cannot lock out a user who signed in before.
"""

import asyncio
import hashlib
import hmac
import os
from collections.abc import Mapping

from worker.listening import network_of
from worker.telemetry.rare_line import RareLine
from worker.web.review.password_checks import Checks, Recent, TooManyChecks
from worker.web.review.passwords import matches
from worker.web.review.users import User

REMEMBERED_WRONG = 1_000
"""Number of wrong credentials that are remembered, and refused again without a check."""
REMEMBERED_NOT_CHECKED = 10_000
"""Number of remembered credentials that found the queue full, and have precedence when they come back."""
FAILED_LINES_A_MINUTE = 10


class PasswordSignIn:
    """Checks names and passwords. Used from one event loop."""

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
        self._entries = list(users.values())

    async def check(self, name: str, password: str, address: str) -> User | None:
        """Return the user with that name and password, or None; raises TooManyChecks."""
        if not self._entries or not name:
            return None
        digest = self._digest(f"{name}\0{password}")
        known = self._users.get(name)
        if admitted := self._admitted.get(digest):
            return admitted
        try:
            is_right = await self._check(name, known or self._decoy(name), password, digest, network_of(address))
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

    def _decoy(self, name: str) -> User:
        """Return the user whose hash is computed for an unknown name, so that it takes as long as for a known one."""
        return self._entries[self._digest(name)[0] % len(self._entries)]

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)

    async def _check(self, name: str, user: User, password: str, digest: bytes, network: str) -> bool:
        if digest in self._wrong:
            return False
        # Each name has a queue of its own, known or not: whether a queue is full does not tell which names exist.
        await self._checks.turn(network, self._digest(name).hex(), came_back=digest in self._not_checked)
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
