"""Masks everything that looks like a loginId, a key, a password or a whole message.

Removes GUIDs, long tokens, passwords in URLs, header values and everything under a denied name, at any depth. No call
raises. Patterns cannot recognise a loginId that looks like a word ("maple"): therefore our own code passes only a
login's reference, and third-party texts also lose everything in quotes (`scrub_quotes`). The time is linear in the
length of a text, because each pattern consumes what it has examined.
"""

import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from functools import singledispatch

from worker.guid import GUID

MASK = "[masked]"
MAX_TEXT_CHARACTERS = 2000
MAX_ITEMS = 50
MAX_DEPTH = 6
_MAX_INTEGER = 2**63

DENIED_NAMES = frozenset({
    "args", "argsrepr", "argv", "body", "cookie", "credentials", "dsn", "httpeventssecrets", "input", "inputvalue",
    "kwargs", "kwargsrepr", "loginid", "loginids", "loginkeys", "payload", "rawbody", "reviewusers", "sealed",
    "sentrydsn", "setcookie", "vars",
})  # fmt: skip
"""Names whose values are never shown; compared in lower case without hyphens and underscores."""
_DENIED_ENDINGS = (
    "apikey",
    "authkey",
    "authorization",
    "loginid",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "token",
)

_REFERENCE = re.compile(r"lgn_[a-z2-7]{26}")
# Words that no pattern below can match: nearly all of our names and values. Each match saves nine searches.
_HARMLESS = re.compile(r"[A-Za-z_.]*|[\w.-]{0,15}|lgn_[a-z2-7]{26}", re.ASCII)
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,20}://)([^\s'\"<>]*+)", re.IGNORECASE)
_HEADER = re.compile(r"((?:flinks-auth-key|authorization)\b['\"]?\s*[:=]\s*)[^\r\n,;}]+", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer)\s+[^\s'\",;]+", re.IGNORECASE)
_NAMED = r"\b\w*(?:login[_-]?ids?|login_keys|auth[_-]?key|password|passwd|secret|token|api[_-]?key|sealed)"
_NAMED_QUOTED = re.compile(
    rf"({_NAMED}['\"]?\s*[:=]\s*b?)(?:'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z))",
    re.IGNORECASE | re.DOTALL,
)
_NAMED_PLAIN = re.compile(rf"({_NAMED}=)(?!\[masked\])[^\s'\"&,;)}}\]]+", re.IGNORECASE)
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
_CONFIRMATION = re.compile(r"(login_?id\s++)\S.*?((?<!\s)\s++has\s++now\s++been|\Z)", re.IGNORECASE | re.DOTALL)
_GUID = re.compile(GUID, re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{16,}")
_QUOTED = re.compile(
    r"(?<!\w)(?:[bru]{1,2})?(?:'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*+(?:\"|\\?\Z)|`[^`]*+(?:`|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_LAST_WORD = re.compile(r"(?<!\S)\S*+\Z")
_QUOTED_NAME = re.compile(r"['\"][A-Za-z_][A-Za-z_.]{0,39}['\"]")

_QUOTES_CODE = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "TypeError"})
"""Exceptions that quote names in our code; nearly all others quote values."""
_HOLDS_TRACEBACK = frozenset({"RemoteTraceback", "_RemoteTraceback", "ExceptionWithTraceback"})


def scrub_text(text: str, *, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """Mask what looks like a secret; returns at most `limit` characters and cuts only between words."""
    if len(text) <= limit and _HARMLESS.fullmatch(text):
        return text
    is_cut = len(text) > limit
    if is_cut:
        text = _LAST_WORD.sub("", text[:limit])
    text = _URL.sub(_url, text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _NAMED_QUOTED.sub(rf"\1{MASK}", text)
    text = _NAMED_PLAIN.sub(rf"\1{MASK}", text)
    text = _WEBHOOK_SECRET.sub(MASK, text)
    text = _CONFIRMATION.sub(_confirmation, text)
    text = _GUID.sub(MASK, text)
    text = _TOKEN.sub(_token, text)
    return text + "..." if is_cut else text


def scrub_quotes(text: str, *, keep_names: bool = False) -> str:
    """Mask everything in quotes, then what `scrub_text` masks; `keep_names` keeps quoted names in code."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = _LAST_WORD.sub("...", text[:MAX_TEXT_CHARACTERS])

    def mask(found: re.Match[str]) -> str:
        return found[0] if keep_names and _QUOTED_NAME.fullmatch(found[0]) else MASK

    return scrub_text(_QUOTED.sub(mask, text))


def scrub_exception_text(type_name: str, text: str) -> str:
    """Scrub the message of a library's exception; returns "" if it repeats a whole traceback."""
    if type_name in _HOLDS_TRACEBACK:
        return ""
    return scrub_quotes(text, keep_names=type_name in _QUOTES_CODE)


def is_denied(name: str) -> bool:
    """Return whether values under this name are never shown."""
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in DENIED_NAMES or plain.endswith(_DENIED_ENDINGS)


def scrub_value(value: object, *, depth: int = 0) -> object:
    """Return a scrubbed copy that JSON can hold; a value that is not plain data becomes the name of its type."""
    try:
        return _scrub(value, depth)
    except Exception:  # noqa: BLE001 - a hostile object must not break the log line that holds it
        return _type_name(value)


@singledispatch
def _scrub(value: object, _depth: int) -> object:
    return _type_name(value)


@_scrub.register(bool | None)
def _as_it_is(value: bool | None, _depth: int) -> object:  # noqa: FBT001 - the dispatcher passes by position
    return value


@_scrub.register
def _text(value: str, _depth: int) -> object:
    return scrub_text(str.__str__(value))


@_scrub.register
def _integer(value: int, _depth: int) -> object:
    return int(value) if abs(value) < _MAX_INTEGER else _type_name(value)


@_scrub.register
def _float(value: float, _depth: int) -> object:
    return float(value) if math.isfinite(value) else str(float(value))


@_scrub.register
def _date(value: date, _depth: int) -> object:
    return value.isoformat()


@_scrub.register
def _duration(value: timedelta, _depth: int) -> object:
    return value.total_seconds()


@_scrub.register(bytes | bytearray)
def _bytes(value: bytes | bytearray, _depth: int) -> object:
    return f"[{len(value)} bytes]"


@_scrub.register
def _exception(value: BaseException, _depth: int) -> object:
    name = _type_name(value)
    return f"{name}: {scrub_exception_text(name, str(value))}"


@_scrub.register(Mapping)
def _mapping(value: Mapping[object, object], depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "[deep]"
    shown: dict[str, object] = {}
    for count, (name, item) in enumerate(value.items()):
        if count == MAX_ITEMS:
            shown["..."] = f"{len(value) - MAX_ITEMS} more"
            break
        shown[str(scrub_value(name))] = MASK if is_denied(str(name)) else scrub_value(item, depth=depth + 1)
    return shown


@_scrub.register(list | tuple | AbstractSet)
def _items(value: Sequence[object] | AbstractSet[object], depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "[deep]"
    shown = [scrub_value(item, depth=depth + 1) for item, _ in zip(value, range(MAX_ITEMS), strict=False)]
    return [*shown, f"... {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else shown


def _type_name(value: object) -> str:
    return type(value).__name__


def _url(found: re.Match[str]) -> str:
    _, at, rest = found[2].rpartition("@")
    return f"{found[1]}{MASK}@{rest}" if at else found[0]


def _confirmation(found: re.Match[str]) -> str:
    return f"{found[1]}{MASK}{found[2]}" if found[2] else found[0]


def _token(found: re.Match[str]) -> str:
    text = found[0]
    return text if _REFERENCE.fullmatch(text) or not any(map(str.isdigit, text)) else MASK
