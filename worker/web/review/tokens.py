"""Tokens of the JSON API: REVIEW_TOKENS has a hash of each, so that who reads the settings cannot use them. No I/O.

A token is 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping

from worker.config.validators import ROLES
from worker.errors import SettingsError
from worker.web.review.identity import Person

PREFIX = "nightly_"
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SCHEME = "bearer"
_MOST_CHARACTERS = 256


def new_token() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def entry_for(name: str, role: str, token: str) -> str:
    """Return the entry of a token in REVIEW_TOKENS."""
    return f"{name}:{role}:{_hash(token)}"


def parse_tokens(text: str) -> Mapping[str, Person]:
    """Return who has each token, by its hash; raises SettingsError with a line for each wrong entry."""
    found: dict[str, Person] = {}
    lines = []
    for position, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, role, hashed, *rest = (*entry.split(":"), "", "", "")
        if any(rest) or not _NAME.fullmatch(name) or role not in ROLES or not _HASH.fullmatch(hashed):
            lines.append(
                f"REVIEW_TOKENS (entry {position}): must be name:role:hash, as `nightly users token` prints it"
            )
        elif hashed in found or any(person.name == name for person in found.values()):
            lines.append(f"REVIEW_TOKENS (entry {position}): the name or the token is used twice")
        else:
            found[hashed] = Person(name, role, via="api", how="token")
    if lines:
        raise SettingsError(lines)
    return found


def holder_of(tokens: Mapping[str, Person], authorization: str) -> Person | None:
    """Return who has the token in an `Authorization` header; None if it is not one of ours."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != _SCHEME or len(token) > _MOST_CHARACTERS:
        return None
    return tokens.get(_hash(token.strip()))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
