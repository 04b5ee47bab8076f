"""Checks what a person types about a dead letter: notes, reasons, owners. No such text may hold a loginId."""

from collections.abc import Iterable

from worker.errors import InvalidAction
from worker.telemetry.scrub import scrub_text
from worker.vault.spellings import Spellings
from worker.words import printable

NOTE_AT_MOST, OWNER_AT_MOST = 2000, 200
"""Characters."""


def checked_text(
    text: str, name: str, *, secrets: Iterable[str] = (), at_most: int = NOTE_AT_MOST, may_be_empty: bool = False
) -> str:
    """Return a text that may be stored and shown: one line, what looks like a secret masked; raises InvalidAction.

    `name` is the word for it in the error. `secrets` are the known loginIds: a text that holds one is refused.
    """
    line = " ".join(text.split())
    if not line and not may_be_empty:
        raise InvalidAction(f"Give a {name}. Nothing was done.")
    if len(line) > at_most:
        raise InvalidAction(f"The {name} is longer than {at_most:,} characters. Nothing was done.")
    if any(Spellings(secret).are_in(line) for secret in secrets):
        raise InvalidAction(f"The {name} holds the loginId, which is a secret: write it without. Nothing was done.")
    return scrub_text(printable(line), limit=at_most)
