"""Measures how the time for a text grows with its length.

A pattern that reads the same characters again and again takes four times as long for twice the text, on any machine.
"""

import math
import time
from collections.abc import Callable, Iterator

SIZES = (1_000, 4_000)
"""Each size is compared with its double; some readers cut a text at 2,000 characters, others read all of it."""
MOST_GROWTH = 3
"""Allowed factor for twice the text: linear time gives 2, quadratic time 4."""
NOISE_SECONDS = 0.001
"""A shorter time is noise of the machine, and harmless."""
PLAIN = "the quick brown fox 12 "
GUID = "0d5e2a51-7a10-4d8e-9a61-5f0c3b1f7e22"

Families = dict[str, Callable[[int], str]]

_REPEATED = (
    " ", "\t", "<", "<a ", "[", '[{"a":', "(", "0", "f", "a", "A", "aB3", "-", "_", "a-", "a@", "a@a@a", "'", '"',
    "'\\", "\\", "\\u0041", "%25", "&amp;", "&#1", "=", "a=", "loginid ", "loginid='", "login_id x", "login_id='",
    "password=", 'token="', "bearer ", "authorization: ", "https://", "http://a", "whsec_", "eyJ", "eyJaaaaaaaaaa",
    "activated ", "not ", "n't ", "12345678-1234-", GUID, GUID[:-1], "I1aA", "20", "b'", "`", "\u200b", "\u00a0",
    "\u00df", "x\n", "lgn_a", "\0",
)  # fmt: skip
_BEGINNINGS = (
    "loginid", "loginid ", "login_id x", "login_id='", "password", 'password: "', "Authorization:", "bearer ", "http://a",
    "eyJabcdefghijk", "'", "\\u{", "&#", "activated", "a=",
)  # fmt: skip
_FILLINGS = (" ", "'", "x", "\\", "x ")


def families() -> Families:
    """Return endless texts by name: a repeated piece, a piece before a run, and runs that begin again."""
    made = dict(_families())
    made["a word and a space"] = lambda size: "a" * (size - 1) + " "
    return made


def _families() -> Iterator[tuple[str, Callable[[int], str]]]:
    for piece in _REPEATED:
        yield repr(piece), lambda size, piece=piece: (piece * size)[:size]  # type: ignore[misc]
    for filling in _FILLINGS:
        yield f"x{filling!r}...x", lambda size, filling=filling: ("x" + filling * size)[: size - 1] + "x"  # type: ignore[misc]
    for first in _BEGINNINGS:
        for filling in _FILLINGS:
            yield f"{first!r} {filling!r}...", lambda size, a=first, b=filling: (a + b * size)[:size]  # type: ignore[misc]
            yield f"({first!r} {filling!r}...)...", lambda size, a=first, b=filling: _runs(a, b, size)  # type: ignore[misc]


def _runs(first: str, filling: str, size: int) -> str:
    """Return as many runs as each of them is long: the most pairs of a beginning and an end."""
    length = math.isqrt(size)
    return ((first + filling * length) * length)[:size]


def growths(work: Callable[[str], object], made: Families) -> list[str]:
    """Return a line for each family whose time grows faster than its text."""
    usual = MOST_GROWTH * _seconds(work, (PLAIN * 2 * max(SIZES))[: 2 * max(SIZES)], 0) + NOISE_SECONDS
    return [line for name, family in made.items() if (line := _growth(work, name, family, usual))]


def _growth(work: Callable[[str], object], name: str, family: Callable[[int], str], usual: float) -> str:
    if _seconds(work, family(2 * max(SIZES)), usual) <= usual:
        return ""  # no slower than plain words of this length
    for size in SIZES:
        once = _seconds(work, family(size), 0)
        limit = MOST_GROWTH * once + NOISE_SECONDS
        twice = _seconds(work, family(2 * size), limit)
        if twice > limit:
            return f"{name}: {once * 1000:.1f} ms for {size} characters, {twice * 1000:.1f} ms for twice as many"
    return ""


def _seconds(work: Callable[[str], object], text: str, limit: float) -> float:
    """Return the processor time: the best of five, or the first within the limit."""
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        work(text)
        best = min(best, time.process_time() - start)
        if best <= limit:
            break
    return best
