"""Decides who may look at the page: reads REVIEW_USERS and checks a name and password against it.

A check costs a third of a second of CPU on purpose, so checks run off the event loop, two at a time, and a
right answer is remembered for some minutes, under a keyed hash that is worth nothing outside this process.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.errors import SettingsError
from worker.review.passwords import hash_password, is_hash, matches

ROLES = ("viewer", "operator", "admin")
REMEMBERED_SECONDS = 300.0
REMEMBERED_AT_MOST = 64
CHECKS_AT_ONCE = 2
WAITING_AT_MOST = 8
"""More checks than this in line are refused: guessing must not keep the machine busy."""
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class User:
    """One entry of REVIEW_USERS."""

    name: str
    role: str
    hashed: str


class TooManyChecks(Exception):
    """So many passwords wait to be checked that this one is not."""


def parse_users(text: str) -> Mapping[str, User]:
    """Return the users by name; raises SettingsError with a line for each wrong entry, never its content."""
    users: dict[str, User] = {}
    lines = []
    for position, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, role, hashed = (*entry.split(":"), "", "", "")[:3]
        problem = _problem(entry, name, role, hashed) or ("the name stands there twice" if name in users else "")
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
    """Checks the `Authorization` header of HTTP Basic."""

    def __init__(self, users: Mapping[str, User], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._clock = clock
        self._secret = os.urandom(32)
        self._remembered: OrderedDict[bytes, tuple[float, User]] = OrderedDict()
        self._slots = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._waiting = 0
        self._nobody = User("", "", hash_password(base64.b64encode(os.urandom(16)).decode())) if users else None

    async def admit(self, header: str) -> User | None:
        """Return the user whose name and password the header holds, or None. Raises TooManyChecks."""
        name, password = credentials(header)
        if self._nobody is None or not name:
            return None
        digest = hmac.digest(self._secret, f"{name}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        remembered = self._remembered.get(digest)
        if remembered and remembered[0] > self._clock():
            return remembered[1]
        user = self._users.get(name)
        # An unknown name costs as much as a known one, so that time tells nothing about names.
        if not await self._check(password, (user or self._nobody).hashed) or user is None:
            return None
        self._remember(digest, user)
        return user

    async def _check(self, password: str, hashed: str) -> bool:
        if self._waiting >= WAITING_AT_MOST:
            raise TooManyChecks
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(matches, password, hashed)
        finally:
            self._waiting -= 1

    def _remember(self, digest: bytes, user: User) -> None:
        self._remembered[digest] = (self._clock() + REMEMBERED_SECONDS, user)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > REMEMBERED_AT_MOST:
            self._remembered.popitem(last=False)


def credentials(header: str) -> tuple[str, str]:
    """Return name and password of a Basic `Authorization` header; two empty strings for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (name, password) if colon else ("", "")
