"""Decides whether a text holds a loginId in any known spelling.

Known spellings: any letter case and separators; escapes of URLs, HTML and JSON; hex; base64; nested encodings.
Not detected: encodings that are unusual in ids, such as base32, and compressed or encrypted data.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from itertools import product
from math import ceil
from urllib.parse import unquote_to_bytes

from worker.guid import GUID

MOST_LAYERS = 4
"""Maximum nested encodings that are decoded; `%25252D` for a hyphen has three."""
CASELESS_CHARACTERS = 8
"""Minimum length of base64 that is compared without letter case. Shorter runs match ordinary ids by chance."""

_LOWER = bytes(range(256)).lower()
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())
_NO_ASCII_LETTERS = _NO_LETTERS + bytes(range(128, 256))
_GUID = re.compile(GUID)
_GUID_LETTERS = re.compile(r"[0-9a-f]{32}")
_GUID_BASE64, _GUID_BYTES = 22, 16
_UNICODE_ESCAPE = re.compile(
    r"[\\%]u(?:([0-9a-f]{4})|\{(0*(?:10|[0-9a-f])?[0-9a-f]{1,4})\})|\\x([0-9a-f]{2})", re.IGNORECASE
)
_ZEROS_OF_REFERENCE = re.compile(r"(?<=&#)0++(?=[0-9])")
_NO_CHARACTER = re.compile(r"&#[0-9]{8,}+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+")
_HEX = re.compile(r"[0-9a-f]+")
_PRINTABLE = re.compile(rb"[ -~]+")
_FROM_URL_ALPHABET = str.maketrans("-_", "+/")


def letters_of(text: str) -> str:
    """Return only letters and digits, in lower case: a GUID in capitals or without hyphens is just as secret."""
    if text.isascii():
        return text.encode().translate(_LOWER, _NO_LETTERS).decode()
    return "".join(filter(str.isalnum, text.casefold()))


def holds_guid(text: str) -> bool:
    """Return whether `text` holds a GUID: 32 hex digits in a row, with any separators."""
    return _GUID_LETTERS.search(letters_of(text)) is not None


class Spellings:
    """The possible spellings of one loginId."""

    __slots__ = ("_is_guid", "_letters", "_login_id")

    def __init__(self, login_id: str) -> None:
        self._login_id = login_id
        self._letters = letters_of(login_id)
        self._is_guid = _GUID_LETTERS.fullmatch(self._letters) is not None

    def are_in(self, text: str) -> bool:
        """Return whether `text` holds the loginId in any spelling; never raises."""
        letters = letters_of(text)
        if self._letters in letters:
            return True
        if "%" not in text and "&" not in text and "\\" not in text:
            is_long = len(self._letters) >= _GUID_BYTES and self._login_id.isascii()
            if is_long and len(text) < _GUID_BASE64:
                return False
            if is_long and not self._may_be_encoded_in(text, letters):
                return self._is_caseless_base64_in(letters)
        return self._is_caseless_base64_in(letters) or self._is_encoded_in(text)

    def _may_be_encoded_in(self, text: str, letters: str) -> bool:
        """Return whether the full search is needed: False for nearly every id, in a few microseconds."""
        if self._is_guid:
            if self._letters[16:] in letters:  # the second half is the same in either byte order
                return True
            if _GUID.fullmatch(text.lower()):
                return False  # the text is exactly one other GUID
            if self._is_base64_of_guid_in(text):
                return True
        base64, hexadecimal = _encodings_of_text(self._least_text())
        return base64.search(text) is not None or hexadecimal.search(letters) is not None

    def _is_caseless_base64_in(self, letters: str) -> bool:
        """Search for base64 in changed letter case: it cannot be decoded, but reveals nearly all of the loginId."""
        login_id = self._login_id
        if len(letters) < (len(login_id) * 4 // 3 - 2 if self._is_guid else len(login_id)):
            return False
        forms = {login_id, login_id.lower(), login_id.upper()}
        encodings = (letters_of(_base64_within(form, shift)) for form, shift in product(forms, range(3)))
        return any(len(encoding) >= CASELESS_CHARACTERS and encoding in letters for encoding in encodings)

    def _is_encoded_in(self, text: str) -> bool:
        """Decode layer by layer, and search each result."""
        layer = {text}
        for _ in range(MOST_LAYERS):
            if self._is_guid and any(self._is_of_guid_in(one) for one in layer):
                return True
            decoded = {raw for one in layer for raw in self._decodings(one)}
            if any(self._is_in(raw) for raw in decoded):
                return True
            layer = {one for raw in decoded for one in self._texts(raw)}
            if not layer:
                break
        return False

    def _is_of_guid_in(self, text: str) -> bool:
        return self._orders()[1] in letters_of(text) or self._is_base64_of_guid_in(text)

    def _is_base64_of_guid_in(self, text: str) -> bool:
        """Search for the last 8 of the GUID's 16 bytes, which are the same in either byte order."""
        last, standard = bytes.fromhex(self._letters[16:]), text.replace("-", "+").replace("_", "/")
        return (
            b2a_base64(last)[:10].decode() in standard
            or b2a_base64(b"x" + last)[2:12].decode() in standard
            or b2a_base64(b"xx" + last)[3:13].decode() in standard
        )

    def _decodings(self, text: str) -> Iterator[bytes]:
        """Yield the output of each decoder that could reveal the loginId in `text`."""
        if "%" in text:
            yield unquote_to_bytes(text.encode("utf-8", "ignore"))
        if "&" in text:
            yield unescape(_without_endless_numbers(text)).encode("utf-8", "ignore")
        if "\\" in text or "%" in text:
            yield _without_unicode_escapes(text)
        base64, hexadecimal = _encodings_of_text(self._least_text())
        if base64.search(text):
            for run in _BASE64.findall(text):
                yield from _base64_decodings(run)
        letters = letters_of(text)
        if hexadecimal.search(letters):
            for run in _HEX.findall(letters):
                yield bytes.fromhex(run[: len(run) // 2 * 2])
                yield bytes.fromhex(run[1 : 1 + (len(run) - 1) // 2 * 2])

    def _is_in(self, raw: bytes) -> bool:
        """Return whether `raw` holds the loginId as text, or a GUID as 16 bytes or digits in either byte order."""
        if self._login_id.isascii():
            seen = raw.translate(_LOWER, _NO_ASCII_LETTERS).decode()
        else:
            seen = letters_of(raw.decode("utf-8", "ignore"))
        if not self._is_guid:
            return self._letters in seen
        return any(digits in text for digits in self._orders() for text in (seen, raw.hex()))

    def _orders(self) -> tuple[str, str]:
        return self._letters, _in_windows_order(self._letters)

    def _texts(self, raw: bytes) -> Iterator[str]:
        """Yield the texts in `raw` that are long enough for a further encoding. Random bytes hold no long text."""
        if not self._login_id.isascii():
            yield raw.decode("utf-8", "ignore")
            return
        for text in _PRINTABLE.findall(raw):
            if len(text) >= self._least_text():
                yield text.decode()

    def _least_text(self) -> int:
        """Return the minimum length of a text that holds the loginId; 0 (unknown) if the loginId is not ASCII."""
        if not self._login_id.isascii():
            return 0
        return _GUID_BASE64 if self._is_guid else len(self._letters)


@lru_cache(maxsize=256)
def _encodings_of_text(least: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return patterns that match base64 and hex of at least `least` printable ASCII characters, and little else.

    The first of four base64 characters is the upper six bits of a byte: I to f for a printable one. The first of two
    hex digits is 2 to 7. If `least` is 0, the patterns match any base64 and any hex.
    """
    if not least:
        return _BASE64, _HEX
    groups = max((least - 2) // 3, 0)
    return re.compile(rf"(?:[I-Za-f][A-Za-z0-9+/_-]{{3}}){{{groups}}}"), re.compile(rf"(?:[2-7][0-9a-f]){{{least}}}")


def _in_windows_order(digits: str) -> str:
    """Return a GUID's digits with the bytes of its first three groups reversed, as .NET writes the 16 bytes."""
    first = digits[6:8] + digits[4:6] + digits[2:4] + digits[:2]
    return first + digits[10:12] + digits[8:10] + digits[14:16] + digits[12:14] + digits[16:]


def _base64_within(text: str, shift: int) -> str:
    """Return the base64 characters that depend only on `text` when 3n + `shift` bytes precede it."""
    raw = text.encode("utf-8", "ignore")
    first, end = ceil(shift * 8 / 6), (shift + len(raw)) * 8 // 6
    return b2a_base64(bytes(shift) + raw).decode()[first:end]


def _base64_decodings(run: str) -> Iterator[bytes]:
    """Decode a run of either alphabet at each of the four offsets at which its first group may begin."""
    standard = run.translate(_FROM_URL_ALPHABET)
    for start in range(min(4, len(run))):
        is_cut = (len(run) - start) % 4 == 1  # a single last character holds no whole byte
        yield a2b_base64(standard[start : len(run) - is_cut] + "==")


def _without_endless_numbers(text: str) -> str:
    """Replace HTML's numeric references that are too long: `unescape` raises ValueError for 4,301 digits."""
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", _ZEROS_OF_REFERENCE.sub("", text))


def _without_unicode_escapes(text: str) -> bytes:
    r"""Replace \u002d, \u{2d}, \x2d and %u002d; a surrogate pair becomes one character."""
    plain = _UNICODE_ESCAPE.sub(lambda match: chr(int(match[match.lastindex or 0], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "ignore").encode("utf-8", "ignore")
