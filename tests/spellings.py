"""The spellings of a loginId that tests look for, made by encoding, while the worker decodes."""

import base64
import html
import json
import random
import urllib.parse
import uuid
from collections.abc import Callable, Mapping

Encode = Callable[[str], str]


def _base64_at(shift: int, *, is_url_safe: bool, is_padded: bool) -> Encode:
    def encode(text: str) -> str:
        raw = b"xyz"[:shift] + text.encode()
        encoded = (base64.urlsafe_b64encode(raw) if is_url_safe else base64.b64encode(raw)).decode()
        return encoded if is_padded else encoded.rstrip("=")

    return encode


def _each(text: str, spell: Callable[[int], str], *, all_of_them: bool) -> str:
    return "".join(spell(ord(one)) if all_of_them or not one.isalnum() else one for one in text)


def _json_escape(code: int) -> str:
    return json.dumps(chr(code))[1:-1] if code > 127 else f"\\u{code:04x}"


ENCODINGS: Mapping[str, Encode] = {
    "as it is": lambda text: text,
    "upper case": str.upper,
    "lower case": str.lower,
    "other separators": lambda text: text.replace("-", "_"),
    "percent": lambda text: urllib.parse.quote(text, safe="").replace("-", "%2D"),
    "percent in lower case": lambda text: _each(
        text, lambda code: urllib.parse.quote(chr(code), safe=""), all_of_them=False
    ).lower(),
    "percent everywhere": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent twice": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe="").replace("-", "%2D"), safe=""),
    "JSON escapes": lambda text: _each(text, _json_escape, all_of_them=False),
    "JSON escapes everywhere": lambda text: _each(text, _json_escape, all_of_them=True),
    "JavaScript's escape": lambda text: _each(text, lambda code: f"\\u{{{code:x}}}", all_of_them=False),
    "HTML by number": lambda text: _each(text, lambda code: f"&#{code};", all_of_them=True),
    "HTML by hex number": lambda text: _each(text, lambda code: f"&#x{code:X};", all_of_them=False),
    "HTML by name": html.escape,
    "hex": lambda text: text.encode().hex(),
    "hex in upper case": lambda text: text.encode().hex().upper(),
    "hex in pairs": lambda text: text.encode().hex(":"),
    **{
        f"base64{'url' * is_url_safe} after {shift} bytes{', padded' * is_padded}": _base64_at(
            shift, is_url_safe=is_url_safe, is_padded=is_padded
        )
        for shift in range(3)
        for is_url_safe in (False, True)
        for is_padded in (False, True)
    },
}
"""Ways to write any text."""

CASELESS: Mapping[str, Encode] = {
    f"base64 after {shift} bytes, in lower case": lambda text, shift=shift: _base64_at(  # type: ignore[misc]
        shift, is_url_safe=False, is_padded=False
    )(text).lower()
    for shift in range(3)
}
"""Spellings that cannot be decoded, but reveal nearly all of the login."""

OF_A_GUID: Mapping[str, Encode] = {
    "digits": lambda text: uuid.UUID(text).hex,
    "digits in Windows' order": lambda text: uuid.UUID(text).bytes_le.hex(),
    "base64 of digits": lambda text: base64.b64encode(uuid.UUID(text).hex.encode()).decode(),
    "base64 of 16 bytes": lambda text: base64.b64encode(uuid.UUID(text).bytes).decode(),
    "base64url of 16 bytes": lambda text: base64.urlsafe_b64encode(uuid.UUID(text).bytes).decode().rstrip("="),
    "base64url of 16 bytes in Windows' order": lambda text: base64.urlsafe_b64encode(uuid.UUID(text).bytes_le).decode(),
    "base64 of 16 bytes after one": lambda text: base64.b64encode(b"x" + uuid.UUID(text).bytes).decode(),
}


def mixed(text: str, chance: random.Random) -> str:
    """Return a text with each character in a spelling of its own."""
    ways: tuple[Callable[[int], str], ...] = (
        chr,
        lambda code: urllib.parse.quote(chr(code)),
        lambda code: f"&#{code};",
    )
    return "".join(chance.choice(ways)(ord(one)) for one in text)
