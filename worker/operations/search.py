"""Finds a login, a dead letter or a job by any of its ids, for the command line, the page and the API."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import InvalidFilter, UnknownLetter, Unreadable
from worker.ledger.dead_letters import Letter, Letters
from worker.ledger.find import Match, find_for
from worker.ledger.queries import Views
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

REFERENCE = re.compile(r"lgn_[a-z2-7]{26}")
LETTER = re.compile(r"(dl|iv)-[a-z0-9]+")
JOB = re.compile(r"(bf|job)-[a-z2-7]{10}")
"""A backfill, or a bulk job."""
LONGEST = 1000
"""Characters of a text that may be an id."""
_PLACE = re.compile(r"\d{1,20}", re.ASCII)
_PLACES = 1 << 64
"""Redis has no greater cursor."""


@dataclass(frozen=True, slots=True)
class Found:
    """A login, a dead letter or a job that was found, and by which of its ids."""

    by: str
    """`reference`, `dead letter`, `job`, `loginId`, `event id` or `account id`."""
    login: dict[str, Any] | None = None
    """As in `Views.login`."""
    letter: Letter | None = None
    job: str = ""
    """The id of a backfill or a bulk job."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was found, and whether the whole ledger was read for it."""

    found: list[Found]
    next: str | None = None
    """Where to go on; None: the search is complete."""
    unreadable: Sequence[Unreadable] = ()
    """Matches that a person damaged in Redis."""


class Search:
    """Searches the ledger behind one Redis client.

    `open_vault` returns the keys that a loginId needs; None: no loginId is looked up. `instances` are those on which it
    is looked up. No text that a person searches for reaches Redis, as it may be a loginId.
    """

    def __init__(
        self,
        client: BytesRedis,
        *,
        open_vault: Callable[[], Vault] | None,
        instances: Callable[[], Iterable[str]],
    ) -> None:
        self.redis = client
        self._open_vault = open_vault
        self._instances = instances

    def find(
        self,
        text: str,
        *,
        seconds: float = float("inf"),
        after: str | None = None,
        on_logins: Callable[[int], None] = lambda _: None,
    ) -> Results:
        """Look the text up as an id, then as a loginId; then as an event id or an account id, in the whole ledger.

        The last takes tens of seconds for a million logins: `on_logins` gets the number of logins read so far, and it
        stops after `seconds`. `after` goes on from `Results.next`. Raises InvalidFilter and redis.RedisError.
        """
        _check(text, after)
        if after is None and (found := self.by_own_id(text) or self.by_login_id(text)):
            return Results(found)
        sought = find_for(self.redis, text, seconds=seconds, after=after, on_logins=on_logins)
        matches: list[Found] = []
        unreadable: list[Unreadable] = []
        for match in sought.matches:
            try:
                matches += filter(None, [self._found(match)])
            except Unreadable as error:
                unreadable.append(error)
        named = {each.login["dead_letter"] for each in matches if each.login}
        found = [each for each in matches if not (each.letter and each.letter.id in named)]
        return Results(found, sought.next, unreadable)

    def by_own_id(self, text: str) -> list[Found]:
        """Return the login with this reference, the dead letter with this id or its login, or the job with this id."""
        if REFERENCE.fullmatch(text):
            return self._logins([text], "reference")
        if JOB.fullmatch(text):
            return [Found("job", job=text)] if self.redis.exists(f"nightly:backfill:{text}") else []
        letter = self.letter(text) if LETTER.fullmatch(text) else None
        if letter is None:
            return []
        logins = self._logins([letter.login], "dead letter") if letter.login else []
        return [each for each in logins if each.login and each.login["dead_letter"] == letter.id] or [
            Found("dead letter", letter=letter)
        ]

    def by_login_id(self, text: str) -> list[Found]:
        """Return the logins with this loginId; none without keys."""
        if self._open_vault is None:
            return []
        vault = self._open_vault()
        return self._logins([vault.reference(name, text) for name in self._instances()], "loginId")

    def letter(self, letter_id: str | None) -> Letter | None:
        """Return a dead letter; None: there is none."""
        try:
            return Letters(self.redis).get(letter_id) if letter_id else None
        except UnknownLetter:
            return None

    def _found(self, match: Match) -> Found | None:
        if match.kind == "login":
            return self._login(match.id, match.by)
        letter = self.letter(match.id)
        return Found(match.by, letter=letter) if letter else None

    def _login(self, reference: str, by: str) -> Found | None:
        about = Views(self.redis).login(reference)
        return None if about is None else Found(by, login=about)

    def _logins(self, references: Sequence[str], by: str) -> list[Found]:
        return [found for each in references if (found := self._login(each, by))]


def _check(text: str, after: str | None) -> None:
    if len(text) > LONGEST:
        raise InvalidFilter(f"the text to search for has more than {LONGEST:,} characters")
    if not _is_unicode(text):
        raise InvalidFilter("the text to search for is not valid UTF-8")
    if after is not None and not (_PLACE.fullmatch(after) and int(after) < _PLACES):
        raise InvalidFilter("the place in the search is not valid: search again")


def _is_unicode(text: str) -> bool:
    """Return whether it has no half of a surrogate pair, as bytes of an argument that are not UTF-8 become one."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
