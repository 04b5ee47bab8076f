"""Authenticates people by name and password against REVIEW_USERS.

A check takes a third of a second of CPU on purpose. A correct password is remembered until the process ends, as a hash
under a random key of this process. So a flood of guesses cannot lock out a user who signed in before.
"""

import asyncio
import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

from worker.listening import network_of
from worker.telemetry.rare_line import RareLine
from worker.web.review.password_checks import Checks, Recent, TooManyChecks
from worker.web.review.passwords import hash_password, matches
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
        self._unknown_user = User("", "", hash_password(base64.b64encode(os.urandom(16)).decode())) if users else None

    async def check(self, name: str, password: str, address: str) -> User | None:
        """Return the user with that name and password, or None; raises TooManyChecks."""
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
