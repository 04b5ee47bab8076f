"""The fields of a login by their words in the code, and their short names in Redis, as there are millions of logins.

FIELD in lua/lib/common.lua is the same table for the scripts, and says what each field holds.
"""

from collections.abc import Iterable, Mapping, Sequence

LOGIN_FIELDS: Mapping[str, str] = {
    "instance": "i",
    "sealed": "v",
    "account_id": "a",
    "occurred_us": "t",
    "wish": "w",
    "event_id": "e",
    "revision": "r",
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

StoredLogin = Mapping[str, bytes]
"""Values of a login by the words of their fields; without those that the login does not have."""


def stored_names(words: Iterable[str]) -> list[str]:
    """Return the names to ask Redis for."""
    return [LOGIN_FIELDS[word] for word in words]


def read_values(words: Sequence[str], values: Sequence[bytes | None]) -> StoredLogin:
    """Return a login from the reply to HMGET with `stored_names(words)`."""
    return {word: value for word, value in zip(words, values, strict=True) if value is not None}


def read_hash(raw: Mapping[bytes, bytes]) -> StoredLogin:
    """Return a login from the reply to HGETALL; without fields of other names, which a person must have added."""
    return {_WORDS[name]: value for name, value in raw.items() if name in _WORDS}
