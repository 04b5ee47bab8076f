"""The fields of a login by their words in the code, and their short names in Redis, as there are millions of logins.

FIELD in lua/lib/common.lua is the same table for the scripts, and says what each field holds.
"""

from collections.abc import Iterable, Mapping, Sequence

LOGIN_FIELDS: Mapping[str, str] = {
    "sealed": "v",
    "account_id": "a",
    "newest": "w",
    "event_id": "e",
    "state": "s",
    "lane": "l",
    "is_counted": "q",
    "row": "p",
    "failures": "n",
    "first_failure": "f",
    "failures_while_down": "d",
    "held_before_failure": "j",
    "leases_lost": "b",
    "rests_until": "h",
    "refused_by": "u",
    "last_code": "z",
    "confirmed": "C",
    "letter": "x",
    "claim": "k",
    "reassert_after": "m",
    "lease_was_lost": "g",
}
_WORDS = {name.encode(): word for word, name in LOGIN_FIELDS.items()}
_NEWEST = ("revision", "wish", "occurred_us", "instance")
"""The parts of the field `newest`; each is read as if it were a field."""

StoredLogin = Mapping[str, bytes]
"""Values of a login by the words of their fields; without those that the login does not have."""


def stored_names(words: Iterable[str]) -> list[str]:
    """Return the names to ask Redis for, one for each word."""
    return [LOGIN_FIELDS["newest" if word in _NEWEST else word] for word in words]


def read_values(words: Sequence[str], values: Sequence[bytes | None]) -> StoredLogin:
    """Return a login from the reply to HMGET with `stored_names(words)`."""
    names = (name.encode() for name in stored_names(words))
    login = read_hash({name: value for name, value in zip(names, values, strict=True) if value is not None})
    return {word: login[word] for word in words if word in login}


def read_hash(raw: Mapping[bytes, bytes]) -> StoredLogin:
    """Return a login from the reply to HGETALL; without fields of other names, which a person must have added."""
    login = {_WORDS[name]: value for name, value in raw.items() if name in _WORDS}
    parts = login.pop("newest", b"").split(b":", len(_NEWEST) - 1)
    return login | dict(zip(_NEWEST, parts, strict=True)) if len(parts) == len(_NEWEST) else login


def newest_text(*, revision: int, wish: str, occurred_us: int, instance: str) -> str:
    """Return what the field `newest` holds; `wish` is 1 (on) or 0 (off)."""
    return f"{revision}:{wish}:{occurred_us}:{instance}"
