"""Tells which event a rejected message was: its id, its CloudEvents source and its account id, as far as they are text.

Nothing of such a message is validated, so a text that may be the loginId is masked: one that contains a login named in
the message, or any GUID if the message names no login.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from worker.errors import SealError
from worker.events.models import SEALED
from worker.vault.spellings import Spellings, letters_of
from worker.vault.vault import Vault

LONGEST = 256
"""Characters; the contract allows no longer id."""
TOO_LONG = f"(longer than {LONGEST} characters)"
_VALUES_READ = 100
_LOGINS_COMPARED = 4
_SEALED = re.compile(SEALED)


class Claimed(NamedTuple):
    """What a message says about itself, unvalidated."""

    event_id: object = None
    event_source: object = None
    account_id: object = None
    content: object = None
    """The values among which a loginId is looked for."""
    task_id: str = ""
    """Of a Celery message: its event id by default. Celery shows task ids, so one may be a GUID."""


class Origin(NamedTuple):
    """What may be shown of it; empty: not known."""

    event_id: str = ""
    event_source: str = ""
    account_id: str = ""


class Logins:
    """The loginIds that a message names, as far as found, to tell which of its other values may be shown."""

    def __init__(self, content: object, vault: Vault) -> None:
        self._vault = vault
        self._logins = [Spellings(login) for login in logins_in(content, vault)]

    def are_in(self, text: str) -> bool:
        """Return whether `text` holds one of them in any spelling, or looks like a token."""
        return self._shown(text, [*self._logins]) != text

    def may_show(self, text: str) -> bool:
        """Return whether `text` may be shown as an id: without a loginId, or any GUID if no loginId is known."""
        return self._shown(text, [*self._logins] or [None]) == text

    def _shown(self, text: str, logins: list[Spellings | None]) -> str:
        return _shown(text, self._vault, logins)


def origin_of(claimed: Claimed, vault: Vault) -> Origin:
    """Return what may be shown of a rejected message."""
    logins = [Spellings(login) for login in logins_in(claimed.content, vault)]
    known: list[Spellings | None] = [*logins] or [None]
    if claimed.event_id is None:
        event_id = _shown(claimed.task_id, vault, [*logins])
    else:
        event_id = _shown(claimed.event_id, vault, known)
    return Origin(event_id, _shown(claimed.event_source, vault, known), _shown(claimed.account_id, vault, known))


def _shown(value: object, vault: Vault, logins: list[Spellings | None]) -> str:
    if not isinstance(value, str):
        return ""
    if len(value) > LONGEST:
        return TOO_LONG
    text = _printable(value)
    masked = (vault.without_login(text, login) for login in logins)
    return next((other for other in masked if other != text), text)


def logins_in(content: object, vault: Vault) -> list[str]:
    """Return the texts under names such as `loginId`, and the loginIds that are sealed."""
    found: list[str] = []
    unread: list[tuple[str, object]] = [("", content)]
    for _ in range(_VALUES_READ):
        if not unread:
            break
        name, value = unread.pop()
        if isinstance(value, Mapping):
            unread += [(str(key), item) for key, item in islice(value.items(), _VALUES_READ)]
        elif isinstance(value, list | tuple):
            unread += [(name, item) for item in islice(value, _VALUES_READ)]
        elif isinstance(value, str) and "login" in name.lower() and len(found) < _LOGINS_COMPARED:
            found += _login_of(value, vault)
    return found


def _login_of(value: str, vault: Vault) -> list[str]:
    if _SEALED.fullmatch(value):
        with suppress(SealError):
            return [vault.open_sealed_login(value)]
        return []
    text = _printable(value)
    return [text] if len(text) <= LONGEST and letters_of(text) else []


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
