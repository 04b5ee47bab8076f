"""Shows the body of a rejected message with a placeholder for each value that may be a loginId, and puts values back.

A person edits the text; a placeholder that is still there keeps its value: "[kept 1]", or "[kept 1 as text]" for a
number that should be a text. Nothing of such a body is validated, so only values are shown that cannot be a loginId, or
that pass the rule for ids (worker/intake/origin.py). Does no I/O.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.errors import InvalidAction, InvalidEvent
from worker.events.contract import EVENT_TYPES, decode_json
from worker.intake.origin import Logins
from worker.vault.spellings import letters_of
from worker.vault.vault import Vault

EDITABLE_BYTES = 262_144
"""A larger body cannot be edited as a text."""
_PLACEHOLDER = re.compile(r'(?P<quote>"?)\[kept (?P<number>[0-9]{1,6})(?P<as_text> as text)?\](?P<end>"?)')
_ESCAPE_OF_KEPT = re.compile(r"\\(u[0-9A-Fa-f]{0,3})?\[kept ")
_IDS = frozenset({"id", "event_id", "source", "subject", "account_id", "instance"})
_TEXTS: Mapping[str, re.Pattern[str]] = {
    "type": re.compile(r"[a-z]{1,20}([._-][a-z]{1,20}){0,3}"),
    "specversion": re.compile(r"[0-9.]{1,5}"),
    "datacontenttype": re.compile(r"[a-z]+/[a-z+.-]{1,40}"),
    "time": re.compile(r"[0-9TtZz:./ +-]{1,35}"),
    "occurred_at": re.compile(r"[0-9TtZz:./ +-]{1,35}"),
}
_PARTS = frozenset({"data", "kwargs"})
_KNOWN = _IDS | _TEXTS.keys() | _PARTS | {"args", "login_id", "loginId", "sealed_login_id", "sealedLoginId"}
_NAME = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]{5,18}([Zz]|[+-][0-9:]{5})?)?")
_WORDS_AND_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\s"{}\[\],:]+')
_PLAIN_WORDS = frozenset({"true", "false", "null", *_KNOWN, *EVENT_TYPES})


class Kept(NamedTuple):
    """A value behind a placeholder, as JSON: alone, and within a longer text."""

    alone: str
    within: str

    @property
    def value(self) -> str:
        """The value as text, as it is within a longer one."""
        with suppress(ValueError):  # a word of a body that is not JSON
            if isinstance(value := json.loads(f'"{self.within}"'), str):
                return value
        return self.within


@dataclass(frozen=True, slots=True)
class MaskedBody:
    """The body of a rejected message as a text that may be shown, and the values that it does not show."""

    text: str
    is_editable: bool = True
    kept: tuple[Kept, ...] = field(default=(), repr=False)
    shown: frozenset[str] = frozenset()
    """The ids that the text shows."""

    def without_kept(self, text: str, vault: Vault) -> str:
        """Return an id of the edited body in a form that may be shown: its keyed hash if it holds a kept value.

        Else a person could put a loginId, which is not shown to them, into an id, which is.
        """
        letters = letters_of(text)
        kept = filter(None, (letters_of(each.value) for each in self.kept))
        return vault.masked(text) if text not in self.shown and any(each in letters for each in kept) else text

    def restored(self, edited: str) -> bytes:
        """Return an edited text with the kept values; raises InvalidAction for a placeholder without one."""

        def value(found: re.Match[str]) -> str:
            number = int(found["number"])
            if not 1 <= number <= len(self.kept):
                raise InvalidAction(f"The body has no value [kept {number}]. Nothing was done.")
            kept = self.kept[number - 1]
            is_alone = found["quote"] and found["end"] and not found["as_text"]
            return kept.alone if is_alone else found["quote"] + kept.within + found["end"]

        if _ESCAPE_OF_KEPT.search(edited):  # it would take the first characters of the value away
            raise InvalidAction("A backslash stands before a kept value. Nothing was done.")
        return _PLACEHOLDER.sub(value, edited).encode("utf-8", "surrogatepass")


def mask_body(body: bytes, vault: Vault) -> MaskedBody:
    """Return a body as a text that may be shown: JSON, or what is left of a text that is not JSON."""
    if len(body) > EDITABLE_BYTES:
        return MaskedBody(f"The body has {len(body):,} bytes, which is too much to be shown.", is_editable=False)
    masking = _Masking(vault)
    try:
        shown = masking.document(decode_json(body))
    except (InvalidEvent, RecursionError, ValueError):  # ValueError: an integer of thousands of digits
        text = _WORDS_AND_QUOTES.sub(masking.word, body.decode("utf-8", "replace"))
        return MaskedBody("".join(map(_printable, text)), kept=tuple(masking.kept))
    text = json.dumps(shown, ensure_ascii=False, indent=2)
    return MaskedBody("".join(map(_escaped, text)), kept=tuple(masking.kept), shown=frozenset(masking.shown))


class _Masking:
    """Masks one body; `kept` has the values behind the placeholders so far."""

    def __init__(self, vault: Vault) -> None:
        self.kept: list[Kept] = []
        self.shown: set[str] = set()
        self._numbers: dict[Kept, int] = {}
        self._vault = vault
        self._logins = Logins(None, vault)

    def document(self, document: Any) -> Any:
        if isinstance(document, list):
            return [self.document(item) for item in document]
        if not isinstance(document, dict):
            return self._hidden(document)
        self._logins = Logins({**document, "login (positional)": document.get("args")}, self._vault)
        return {self._name(name): self._part(name, value) for name, value in document.items()}

    def word(self, found: re.Match[str]) -> str:
        """Mask a word, or a text in quotation marks, of a body that is not JSON."""
        text = found[0]
        bare = text.strip('"')
        if not bare or bare in _PLAIN_WORDS or _DATE.fullmatch(bare):
            return text
        if not text.startswith('"'):
            return self._placeholder(Kept(text, text))
        end = '"' if text.endswith('"') and len(text) > 1 else ""
        within = text[1 : len(text) - len(end)]
        return f'"{self._placeholder(Kept(_quoted(within), within))}{end}'

    def _part(self, name: str, value: Any) -> Any:
        if name in _PARTS and isinstance(value, dict):
            return {self._name(inner): self._field(inner, item) for inner, item in value.items()}
        return self._field(name, value)

    def _field(self, name: str, value: Any) -> Any:
        is_shown = isinstance(value, str) and (
            (name in _IDS and self._logins.may_show(value))
            or (name in _TEXTS and _TEXTS[name].fullmatch(value) and not self._logins.are_in(value))
        )
        if not is_shown or _PLACEHOLDER.search(value):
            return self._hidden(value)
        self.shown |= {value} if name in _IDS else set()
        return value

    def _hidden(self, value: Any) -> Any:
        """Mask every text and number within a value."""
        if isinstance(value, dict):
            return {self._name(name): self._hidden(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item) for item in value]
        if value is None or value is True or value is False or value == "":
            return value
        alone = json.dumps(value).replace("Infinity", "1e999") if isinstance(value, float) else json.dumps(value)
        return self._placeholder(Kept(alone, alone[1:-1] if isinstance(value, str) else alone))

    def _name(self, name: str) -> str:
        is_shown = name in _KNOWN or (_NAME.fullmatch(name) and not self._logins.are_in(name))
        return name if is_shown else str(self._hidden(name))

    def _placeholder(self, kept: Kept) -> str:
        if kept not in self._numbers:
            self.kept.append(kept)
            self._numbers[kept] = len(self.kept)
        return f"[kept {self._numbers[kept]}]"


def _quoted(text: str) -> str:
    return f'"{text}"'


def _printable(character: str) -> str:
    return character if character.isprintable() or character == "\n" else "?"


def _escaped(character: str) -> str:
    """Escape an unprintable character within JSON, where it can only be part of a text."""
    if character.isprintable() or character == "\n":
        return character
    return json.dumps(character)[1:-1]
