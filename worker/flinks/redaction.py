"""Redacts third-party texts: keeps plain words and masks everything that may identify a login."""

import html
import re
from urllib.parse import quote

from worker.flinks.response_body import NAMED_LOGIN
from worker.guid import GUID
from worker.vault.spellings import Spellings

MASK = "***"
MAX_MESSAGE_CHARACTERS = 200
MAX_LINE_CHARACTERS = 2000
"""Only this much of a text is examined and kept. A loginId's longest spelling has about 1,500 characters."""
_GUID = re.compile(GUID, re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")
_DIGIT = re.compile(r"[0-9]")


def mask(text: str, *secrets: str) -> str:
    """Return at most 200 characters of `text`: one line, printable, with every identifier replaced by `***`.

    Identifiers are: a word that holds one of `secrets` (the loginId, our key) in any spelling, a GUID, the word after
    "LoginId" in a confirmation, and a run of 16 or more of [A-Za-z0-9_-] that holds a digit. A secret written plainly
    loses only its own characters; a secret spread over several words masks the whole line. Invisible characters are
    removed first, because one inside a loginId would hide it from the other rules.
    """
    line = "".join(" " if character.isspace() else character for character in text if _is_kept(character))
    forms = {form for secret in filter(None, secrets) for form in (secret, quote(secret, safe=""), html.escape(secret))}
    ours = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)), re.IGNORECASE)
    line = ours.sub(MASK, line)
    for secret in filter(None, secrets):
        line = _without_words_of(Spellings(secret), line)
    line = NAMED_LOGIN.sub(rf"\1{MASK}", _GUID.sub(MASK, line))
    return _TOKEN.sub(_masked_if_numbered, line)[:MAX_MESSAGE_CHARACTERS].strip()


def _without_words_of(secret: Spellings, line: str) -> str:
    """Return the beginning of a line with each word masked that holds the secret."""
    words, length = [], 0
    for word in line.split(" "):
        start = word[:MAX_LINE_CHARACTERS]
        words.append(MASK if secret.are_in(start) else start)
        length += len(words[-1]) + 1
        if length > MAX_LINE_CHARACTERS:
            break
    kept = " ".join(words)
    return MASK if secret.are_in(kept) else kept


def _is_kept(character: str) -> bool:
    return character.isprintable() or character.isspace()


def _masked_if_numbered(match: re.Match[str]) -> str:
    return MASK if _DIGIT.search(match[0]) else match[0]
