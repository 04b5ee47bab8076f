"""Prevents CSV injection (OWASP): a spreadsheet must not run a cell of our files as a formula.

An apostrophe goes before `=`, `+`, `-`, `@`, a tab or a carriage return at the start of a cell, and also after a quote,
a separator or a line end inside it, where another program may begin a new cell. `restored` is the exact reverse.
"""

import re

_START = rb"(?:^|(?<=[\",;|\t\r\n]))"
_FORMULA = rb"(?='*[=+\-@\t\r])"
_HARMFUL = re.compile(_START + _FORMULA)
_HARMLESS = re.compile(_START + b"'" + _FORMULA)


def neutralised(cells: bytes) -> bytes:
    """Return a cell with the apostrophes put in; its encoding must extend ASCII."""
    return _HARMFUL.sub(b"'", cells)


def neutralised_line(line: bytes, delimiter: bytes) -> bytes:
    """Return a line of a CSV that may be damaged, with each cell neutralised."""
    return delimiter.join(map(neutralised, line.split(delimiter)))


def restored(cells: bytes) -> bytes:
    """Return what `neutralised` was given."""
    return _HARMLESS.sub(b"", cells)


def neutral_text(cell: str) -> str:
    """As `neutralised`, for text."""
    return neutralised(cell.encode()).decode()


def restored_text(cell: str) -> str:
    """As `restored`, for text."""
    return restored(cell.encode()).decode()
