"""Parses REVIEW_USERS: the people who may sign in with a password, and their roles. Does no I/O."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from worker.config.validators import ROLES
from worker.errors import SettingsError
from worker.web.review.passwords import is_hash

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class User:
    """One entry of REVIEW_USERS."""

    name: str
    role: str
    hashed: str

    @property
    def entry(self) -> str:
        """A hash of the entry, kept with the user's sessions: another password or role ends them."""
        return hashlib.sha256(f"{self.name}:{self.role}:{self.hashed}".encode()).hexdigest()


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
