"""Reads the code blocks of a document, so that the tests run what a reader copies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.places import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block of a document; `name` is its position."""

    name: str
    language: str
    code: str


def snippets(document: str, *, section: str = "") -> Iterator[Snippet]:
    """Yield the blocks of a document below the root, or only those of the section with that heading."""
    text = (ROOT / document).read_text()
    first = 0
    if section:
        first = text.index(f"\n## {section}\n")
        text = text[: text.find("\n## ", first + 1)]
    for block in _BLOCK.finditer(text, first):
        line = text.count("\n", 0, block.start()) + 1
        yield Snippet(f"{document}:{line}", block[1], block[2])
