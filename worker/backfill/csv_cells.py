"""Prevents CSV injection (OWASP): a spreadsheet must not run a cell of our files as a formula.

`neutralised` puts an apostrophe before `=`, `+`, `-`, `@`, a tab or a carriage return at the start of a cell, and after
a quote, a separator or a line end, where another program may begin a new cell. `restored` is its exact inverse.
"""

import re

_START = rb"(?:^|(?<=[\",;|\t\r\n]))"
_FORMULA = rb"(?='*[=+\-@\t\r])"
_HARMFUL = re.compile(_START + _FORMULA)
_HARMLESS = re.compile(_START + b"'" + _FORMULA)


def neutralised(cells: bytes) -> bytes:
    """Return a cell with the apostrophes added; its encoding must extend ASCII."""
    return _HARMFUL.sub(b"'", cells)


def neutralised_line(line: bytes, delimiter: bytes) -> bytes:
    """Return a CSV line with each cell neutralised; the line may be malformed."""
    return delimiter.join(map(neutralised, line.split(delimiter)))


def restored(cells: bytes) -> bytes:
    """Return a neutralised cell with the apostrophes removed."""
    return _HARMLESS.sub(b"", cells)


def neutral_text(cell: str) -> str:
    """Do the same as `neutralised`, for text."""
    return neutralised(cell.encode()).decode()


def restored_text(cell: str) -> str:
    """Do the same as `restored`, for text."""
    return restored(cell.encode()).decode()
