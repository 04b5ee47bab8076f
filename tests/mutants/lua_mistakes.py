"""Makes the mutants of one Lua script with a tokeniser, which is enough for the plain Lua of the ledger."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutant import ROOT, Mutant

_TOKENS = re.compile(
    r"""(?P<comment>--[^\n]*)|(?P<string>'[^'\n]*'|"[^"\n]*")|(?P<number>\d+(?:\.\d+)?)"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign>==|~=|<=|>=|\.\.|[^\s\w])"""
)
_SWAPS = {
    "==": ["~="],
    "~=": ["=="],
    "<": ["<=", ">="],
    "<=": ["<", ">"],
    ">": [">=", "<="],
    ">=": [">", "<"],
    "*": ["/"],
    "/": ["*"],
    "%": ["*"],
    "and": ["or"],
    "or": ["and"],
    "not": [""],
    "true": ["false"],
    "false": ["true"],
    "'0'": ["'1'"],
    "'1'": ["'0'"],
}
BIG = 1000
KEYWORDS = {"return", "and", "or", "not", "then", "in", "do", "else"}
_STATEMENT = re.compile(
    r"^[ ]*(?!local |return|if |for |end|else|function)[a-zA-Z_][\w.\[\]#+ ,]*(?:\(| = )", re.MULTILINE
)
_RETURN = re.compile(r"^[ ]*return (?!')(?P<value>.+)$", re.MULTILINE)
_CONDITION = re.compile(r"\b(?:else)?if (?P<value>.+?) then\b", re.DOTALL)
_FIELDS = re.compile(r"redis\.call\('(?P<verb>HSET|HDEL)', ")


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def mutants_of(path: Path) -> list[Mutant]:
    """Return every mutant of a script, in the order of its lines."""
    text = path.read_text("utf-8")
    name = str(path.relative_to(ROOT))
    found = {}
    for start, end, after in _changes(text):
        if text[start:end].strip() != after.strip():
            mutated = text[:start] + after + text[end:]
            line = text.count("\n", 0, start + len(text[start:end]) - len(text[start:end].lstrip())) + 1
            found[mutated] = Mutant(name, line, *_in_context(text, start, end, after), mutated)
    return sorted(found.values(), key=lambda mutant: mutant.line)


def _in_context(text: str, start: int, end: int, after: str) -> tuple[str, str]:
    left = text.rfind("\n", 0, start) + 1 if text[start:end].strip() == text[start:end] else start
    right = text.find("\n", end)
    return text[left:right], text[left:start] + after + text[end:right]


def _changes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and replacement."""
    tokens = [Token(str(match.lastgroup), match[0], match.start()) for match in _TOKENS.finditer(text)]
    code = [token for token in tokens if token.kind != "comment"]
    for before, token in zip([None, *code], code, strict=False):
        for after in _instead(before, token):
            yield token.at, token.at + len(token.text), after
    bare = _without(text, {"comment"})
    for match in _STATEMENT.finditer(_without(text, {"comment", "string"})):
        yield match.start(), _end_of_statement(bare, match.start()), "\n"
    for match in _RETURN.finditer(bare):
        if match["value"].count("{") == match["value"].count("}"):
            yield match.start("value"), match.end("value"), "nil"
    for match in _CONDITION.finditer(bare):
        for after in ("true", "false"):
            yield match.start("value"), match.end("value"), after
    for match in _FIELDS.finditer(bare):
        for start, end in _groups(bare, match.end(), 1 if match["verb"] == "HDEL" else 2):
            yield start, end, ""


def _instead(before: Token | None, token: Token) -> list[str]:
    previous = before.text if before else ""
    if token.kind == "number":
        return _other_numbers(float(token.text), is_index=previous == "[")
    if token.kind == "string" and previous == "return":
        return ["'mutant'"]
    if token.text in {"+", "-"}:
        is_binary = before is not None and (before.kind in {"number", "word"} or previous in {")", "]"})
        return [{"+": "-", "-": "+"}[token.text]] if is_binary and previous not in KEYWORDS else []
    if token.text in {"min", "max"} and previous == ".":
        return ["max" if token.text == "min" else "min"]
    return _SWAPS.get(token.text, [])


def _other_numbers(value: float, *, is_index: bool) -> list[str]:
    """One more and one less; for a thousand or more the double and the half, because a millisecond more changes
    nothing.
    """
    others = [value + 1] if is_index or not value.is_integer() else [value + 1, value - 1]
    if value >= BIG:
        others = [value * 2, value // 2]
    return [repr(other).removesuffix(".0") if other >= 0 else "(-1)" for other in others]


def _without(text: str, kinds: set[str]) -> str:
    """Blank some kinds of tokens, so that a search finds only code."""
    return _TOKENS.sub(lambda match: " " * len(match[0]) if match.lastgroup in kinds else match[0], text)


def _end_of_statement(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "({") - (text[at] in ")}")
        if text[at] == "\n" and depth == 0:
            return at + 1
    return len(text)


def _groups(text: str, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the extents of the fields (with their values) of one HSET or HDEL that has more than one."""
    commas, depth, at = [], 0, start
    while depth >= 0:
        depth += (text[at] in "({") - (text[at] in ")}")
        if text[at] == "," and depth == 0:
            commas.append(at)
        at += 1
    commas.append(at - 1)
    if len(commas) > size + 1:
        yield from zip(commas[:-1:size], commas[size::size], strict=False)
