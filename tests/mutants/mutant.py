"""A mutant: one of our files with one small mistake in it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """`text` is the whole file with the mistake."""

    path: str
    """Relative to the root of the project."""
    line: int
    before: str
    after: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {shown(self.before)}  ->  {shown(self.after) or '(nothing)'}"


@dataclass(frozen=True)
class Fate:
    """The result of a mutant: killed, timed out, survived, invalid (not code), or lost (an error of ours)."""

    mutant: Mutant
    end: str
    by: str = ""
    """The test that killed it."""


def shown(text: str) -> str:
    """Return the text as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."
