"""What a text, a time and a sealed loginId must look like, in JSON Schema's words.

`contract.py` decides, and these say the same. What a schema has no words for stands in the descriptions, and
tests/unit/docs names each such case. The patterns mean the same to Python's `re` and to ECMA 262. Does no I/O.
"""

from typing import Any

_NOT_PRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ud800-\uf8ff\ufeff\ufff9-\ufffb"
)
"""Controls, separators, format characters, halves of a pair and private use, of the first 65,536."""

TEXT: dict[str, Any] = {"pattern": "^[^ ](.*[^ ])?$", "not": {"pattern": f"[{_NOT_PRINTABLE}]"}}
"""Beside its length: nothing that is not printable, and no space at either end."""

_DATE = r"(19(69|[7-9][0-9])|2([01][0-9]{2}|2([0-4][0-9]|5[0-4])))-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
_ZONE = r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

TIME: dict[str, Any] = {"pattern": rf"^{_DATE}[Tt ]{_CLOCK}{_ZONE}$", "not": {"pattern": r"[\r\n]"}}
"""Beside `format: date-time`: with a zone, and within the years that the ledger can order."""

SEALED = r"^[0-9a-f]{8}\.[A-Za-z0-9_-]{66,1430}={0,2}$"
"""A loginId that is sealed to the workers' public key: the key's id, a full stop, and the box in base64url."""
