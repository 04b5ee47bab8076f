"""The entries of the audit log and their chain: each entry holds the hash of the text of the one before it.

Does no I/O. An entry's text is one line of JSON in ASCII; its hash is the SHA-256 of that text, in hex.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.telemetry.scrub import scrub_text

NAME_AT_MOST, WHY_AT_MOST = 200, 2000
"""Characters of a name or an address, and of a reason. The rest is cut off."""
_HASH_CHARACTERS = 64
_HASH = re.compile(rf"[0-9a-f]{{{_HASH_CHARACTERS}}}")
_FIELDS = ("n", "at", "by", "role", "via", "address", "action", "target", "why", "detail", "before")
_LATEST_MS = 253_402_300_799_999
_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who acts: `role` is viewer, operator or admin; `via` is page, api or cli."""

    name: str
    role: str
    via: str
    address: str = ""
    """The network address of the person's browser or program; empty for the command line."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What an entry records. It must not hold a loginId; what looks like one is masked in `why`."""

    by: Actor
    action: str
    """The thing and the verb: `letter.replay`, `gate.open`."""
    target: str
    """A letter's id, a login reference, an instance, a group (`instance|code|wish`), the id of a job or a backfill."""
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """A few short values that say what exactly was done. They must be JSON."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number of the last entry, and its hash. Without an entry: 0 and empty."""

    number: int = 0
    hash: str = ""

    @classmethod
    def read(cls, text: str) -> "Head":
        """Read `<number> <hash>`; the hash may be written in groups. Raises ValueError."""
        number, _, digits = text.strip().partition(" ")
        digest = re.sub(r"[\s:]", "", digits).lower()
        if not re.fullmatch(r"[1-9][0-9]{0,17}", number) or not _HASH.fullmatch(digest):
            raise ValueError(f"a head is a number and {_HASH_CHARACTERS} hexadecimal digits")
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number} {self.hash}" if self.number else ""

    @property
    def grouped(self) -> str:
        """The hash in groups of eight digits, as logs show it: they mask longer words that may be secrets."""
        return ":".join(self.hash[at : at + 8] for at in range(0, len(self.hash), 8))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit log. `at` is milliseconds since 1970, by Redis' clock."""

    n: int
    at: int
    by: str
    role: str
    via: str
    address: str
    action: str
    target: str
    why: str
    detail: Mapping[str, Any]
    before: str
    """The hash of the entry before it; empty in the first one."""
    text: str = field(repr=False, compare=False)
    """Exactly as stored."""

    @classmethod
    def read(cls, text: str) -> "Entry":
        """Read the text of an entry; raises ValueError."""
        values = json.loads(text)
        if not isinstance(values, dict) or tuple(values) != _FIELDS or not _is_typed(values):
            raise ValueError("it is not an entry of the audit log")
        return cls(**values, text=text)

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hex."""
        return hash_of(self.text)

    @property
    def head(self) -> Head:
        """The head of the chain that ends with this entry."""
        return Head(self.n, self.hash)


def _is_typed(values: Mapping[str, Any]) -> bool:
    """Return whether the values of an entry, which somebody may have changed in Redis, are of the right types."""
    numbers, detail = (values["n"], values["at"]), values["detail"]
    texts = (value for name, value in values.items() if name not in {"n", "at", "detail"})
    are_typed = all(type(number) is int for number in numbers) and all(isinstance(text, str) for text in texts)
    return are_typed and isinstance(detail, dict) and 0 <= values["at"] <= _LATEST_MS


def hash_of(text: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def next_entry(deed: Deed, head: Head, at: int) -> Entry:
    """Return the entry that records `deed` after `head`."""
    by = deed.by
    values: dict[str, Any] = {
        "n": head.number + 1,
        "at": at,
        "by": by.name[:NAME_AT_MOST],
        "role": by.role,
        "via": by.via,
        "address": by.address[:NAME_AT_MOST],
        "action": deed.action,
        "target": deed.target,
        "why": scrub_text(deed.why, limit=WHY_AT_MOST),
        "detail": dict(deed.detail),
        "before": head.hash,
    }
    return Entry(**values, text=_to_json(values))


class Broken(ValueError):
    """The chain does not hold at entry `number`."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        super().__init__(reason)


class Chain:
    """Checks entries one after the other, from the one after `head` on, against heads that a log has shown."""

    def __init__(self, head: Head | None = None, *, logged: Iterable[Head] = ()) -> None:
        self.head = head or Head()
        self._logged: dict[int, set[str]] = {}
        for each in logged:
            self._logged.setdefault(each.number, set()).add(each.hash)

    def add(self, text: str) -> None:
        """Add the text of the next entry; raises Broken."""
        number = self.head.number + 1
        try:
            entry = Entry.read(text)
        except (ValueError, TypeError, RecursionError):
            raise Broken(number, "it is no entry of the audit log") from None
        if entry.n != number:
            raise Broken(number, f"entry {entry.n} is in its place: entries were removed, added or moved")
        if entry.before != self.head.hash:
            raise Broken(number, "it does not follow the entry before it: one of the two was changed or replaced")
        self.head = entry.head
        if any(digest != self.head.hash for digest in self._logged.pop(number, ())):
            raise Broken(number, "its hash is not the one that was logged: the log was rewritten up to here")

    def end(self, stored: Head) -> None:
        """Compare the last entry with the stored head; raises Broken."""
        if self.head != stored:
            raise Broken(self.head.number, f"it is the last one, but the stored head is that of entry {stored.number}")
        newest_logged = max(self._logged, default=0)
        if newest_logged > self.head.number:
            raise Broken(self.head.number, f"it is the last one, but entry {newest_logged} was logged: the end is lost")


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of checking the chain: how many entries were checked, and where it breaks, if it does."""

    count: int
    head: Head
    """Of the last entry that was checked."""
    broken_at: int | None = None
    """Number of the entry that does not fit; 0 if there is no entry at all."""
    reason: str = ""


def verify_chain(
    texts: Iterable[str], *, start: Head | None = None, stored: Head | None = None, logged: Iterable[Head] = ()
) -> Verification:
    """Check entries from the one after `start` on, `stored` against the last one, and `logged` against all."""
    chain = Chain(start, logged=logged)
    first = chain.head.number
    try:
        for text in texts:
            chain.add(text)
        chain.end(chain.head if stored is None else stored)
    except Broken as error:
        return Verification(chain.head.number - first, chain.head, error.number, str(error))
    return Verification(chain.head.number - first, chain.head)
