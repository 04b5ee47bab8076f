"""Values that an event, Flinks or a colleague may fill, and the check that a page shows them harmlessly."""

import re

from httpx import Response

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
QUOTES = '"\'><b onmouseover="alert(3)" x=\''
ODD = "a\u202egnp.exe\u2066\x00\x1b[31m\r\nSet-Cookie: a=b"
TEMPLATE = "{{ 7919 * 7907 }}{% raw %}${8*8}"
LONG = "x" * 10_000
HOSTILE = (SCRIPT, QUOTES, ODD, TEMPLATE, LONG, f"{SCRIPT}{QUOTES}{ODD}{TEMPLATE}")
_MARKUP = re.compile(r"<(script>|img|b )|[\"' ]on(error|mouseover)=[\"]", re.IGNORECASE)


def check_is_harmless(response: Response) -> None:
    """Check that a page holds no markup, unprintable character or result of a template from such values."""
    text = response.text
    assert not _MARKUP.search(text), _MARKUP.search(text)
    assert not [char for char in text if not char.isprintable() and char not in "\n\t"]
    assert str(7919 * 7907) not in text
    assert "a=b" not in str(response.headers)
