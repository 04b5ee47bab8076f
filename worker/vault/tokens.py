"""Decides whether a text looks like a token, a secret of another system.

A token is a JWT, or a run of 28 or more random characters in both letter cases, as in base64 and base62. GUIDs, ULIDs,
KSUIDs, numbers, hex digests and hyphenated words are not tokens.
"""

import re

TOKEN_CHARACTERS = 28
"""One more than a KSUID, the longest id in wide use that mixes letter cases."""

_JWT_BEGINNING = "eyJ"
_JWT_HEADER = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z0-9_-]{11,}+)\.[A-Za-z0-9_-]{2}")
_JWT_LEAST = 8
"""Minimum characters of a JWT's header after its beginning."""
_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{TOKEN_CHARACTERS},}}")
_SEGMENT = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Z]?[a-z]*[0-9]*|[A-Z]*[0-9]*")
_UPPER, _LOWER = re.compile(r"[A-Z]"), re.compile(r"[a-z]")
# A change of the kind of character, except after the capital at the beginning of a word.
_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[0-9])|(?<=[A-Z][A-Z])(?=[a-z])")


def looks_like_token(text: str) -> bool:
    """Return whether `text` holds something that looks like a token."""
    if len(text) < TOKEN_CHARACTERS or text.lower() == text or text.upper() == text:
        return False
    return _holds_jwt(text) or any(_is_random(run) for run in _RUN.findall(text))


def _holds_jwt(text: str) -> bool:
    return any(_JWT_BEGINNING in header[:-_JWT_LEAST] for header in _JWT_HEADER.findall(text))


def _is_random(run: str) -> bool:
    """Return whether, apart from words and numbers, both letter cases are frequent and the kind changes often."""
    rest = "".join(part for part in _SEGMENT.findall(run) if not _WORD.fullmatch(part))
    if len(rest) < TOKEN_CHARACTERS:
        return False
    rarest = min(len(_UPPER.findall(rest)), len(_LOWER.findall(rest)))
    return 8 * rarest >= len(rest) and 4 * len(_CHANGE.findall(rest)) >= len(rest)
