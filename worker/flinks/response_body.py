"""Parses the body of a Flinks answer; `protocol.py` then classifies it. Never raises.

Flinks confirms in prose ("LoginId ... has now been activated ..."), sent as a JSON string, and reports errors as a JSON
object. Proxies' error pages and truncated bodies are handled too, in linear time, because the event loop waits.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from worker.guid import GUID

MAX_BODY_BYTES = 65_536
_STATUS = re.compile(r"[0-9]{3}")
_STATE = re.compile(r"\b(de)?activated\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(not|never|cannot|unable|failed)\b|n't\b", re.IGNORECASE)
NAMED_LOGIN = re.compile(
    r"""((?<!\S)(?>\S*?\bloginid[:='"]++)|\bloginid[:='"]*+\s[\s:='"]*+)(\S++)(?=\s++(?:has|is|was)\b)""", re.IGNORECASE
)
"""The word after "LoginId" in a confirmation (group 2), and what is before it.

The first alternative matches a login in the same word as "LoginId", the second one in the next word. Two alternatives
try each word once; a single pattern would try all words again for each "LoginId" before them.
"""
_GUID = re.compile(rf"\b{GUID}\b", re.IGNORECASE)
_OURS = "\0"
"""Replaces our own login in a text that is parsed, so that the login's characters are not read as Flinks' words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed body.

    `is_readable` is False for HTML, truncated JSON, an array, a content encoding that we did not request, and an object
    whose FlinksCode or HttpStatusCode has the wrong type. A 2xx with such a body is no answer at all.
    """

    is_readable: bool
    text: str = ""
    """The string itself, or the object's Message. Holds identifiers: mask it before you show it."""
    code: str = ""
    """FlinksCode; empty if absent, null or of the wrong type."""
    status: int = 0
    """HttpStatusCode; 0 if absent."""


class Confirmation(Enum):
    """Whether the prose of a 2xx confirms our wish."""

    CONFIRMED = auto()
    CONTRADICTED = auto()
    SILENT = auto()


def read(body: bytes, content_encoding: str = "") -> Answer:
    """Parse the first 64 KiB of `body`."""
    if content_encoding.strip().lower() not in {"", "identity"}:
        return Answer(is_readable=False)
    text = body[:MAX_BODY_BYTES].decode(errors="replace").removeprefix("\ufeff").strip()
    document = _parse(text)
    if isinstance(document, str) and document.lstrip().startswith("{"):
        document = _parse(document)  # an object encoded twice is still an error object
    if isinstance(document, dict):
        return _read_object(document)
    if isinstance(document, str):
        return Answer(is_readable=True, text=document)
    return Answer(is_readable=_is_prose(text), text=text if _is_prose(text) else "")


def confirmation_in(text: str, login_id: str, *, wants_active: bool) -> Confirmation:
    """Return whether `text` confirms this wish for this login, contradicts it, or is silent about it.

    Words are matched whole, because "deactivated" contains "activated". Another login, the opposite state, and a
    negation beside a state are contradictions.
    """
    ours = re.compile(
        rf"(?<![^\s'\"(\[<{{:=]){re.escape(login_id)}(?=['\")\]>}}.,;:!?]{{0,8}}+(?:\s|$))", re.IGNORECASE
    )
    marked = ours.sub(_OURS, text.replace(_OURS, " "))
    states = {match[1] is None for match in _STATE.finditer(marked)}
    if _names_another(marked) or (not wants_active) in states or (states and _NEGATION.search(marked)):
        return Confirmation.CONTRADICTED
    return Confirmation.CONFIRMED if states and _OURS in marked else Confirmation.SILENT


def _names_another(marked: str) -> bool:
    named = NAMED_LOGIN.search(marked)
    if named is not None:
        return named[2].rstrip("'\"") != _OURS
    return _OURS not in marked and _GUID.search(marked) is not None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_object(document: Mapping[str, Any]) -> Answer:
    fields = {name.lower(): value for name, value in document.items()}
    code, message, status = fields.get("flinkscode"), fields.get("message"), _status(fields.get("httpstatuscode"))
    return Answer(
        is_readable=status is not None and isinstance(code, str | None),
        text=message.strip() if isinstance(message, str) else "",
        code=code.strip() if isinstance(code, str) else "",
        status=status or 0,
    )


def _status(value: object) -> int | None:
    """Return an HttpStatusCode, which may be sent as text; 0 if absent, None if it is not a status."""
    if value is None:
        return 0
    text = str(value).removesuffix(".0") if isinstance(value, str | int | float) else ""
    return int(text) if _STATUS.fullmatch(text) else None


def _is_prose(text: str) -> bool:
    return not text.startswith(("<", "{", "[", '"')) and "\N{REPLACEMENT CHARACTER}" not in text
