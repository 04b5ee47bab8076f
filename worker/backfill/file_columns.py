"""Decides which column or field holds the loginId, the account id and the instance, however they are spelt.

Case and punctuation do not matter.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

LOGIN, ACCOUNT, INSTANCE = "login_id", "account_id", "instance"
REASON = "reject_reason"
"""The first column of a CSV of rejected rows, which we wrote: its cells are neutralised (`csv_cells.py`)."""
ALIASES: Mapping[str, Sequence[str]] = {
    LOGIN: ("loginid", "flinksloginid", "flinkslogin", "login", "loginguid"),
    ACCOUNT: (
        "accountid", "account", "accountnumber", "customerid", "customer", "custid", "clientid", "client",
        "externalid", "subject",
    ),
    INSTANCE: ("instance", "flinksinstance"),
}  # fmt: skip
"""For each role its names in their simplest spelling, the surest first: that one counts where there are several."""
_RANKS = {alias: (role, rank) for role, aliases in ALIASES.items() for rank, alias in enumerate(aliases)}
_WORDS = re.compile(r"[^\W\d]++(?: [^\W\d]++){0,4}")
"""An underscore is one of the letters."""
_LONGEST_NAME = 30


@lru_cache(maxsize=1024)
def role_of(name: str) -> tuple[str, int] | None:
    """Return the role of a column name, and how certain it is (0 is most certain)."""
    return _RANKS.get("".join(filter(str.isalnum, name)).casefold())


def roles_in(names: Iterable[str]) -> dict[str, int]:
    """Return the position of the surest name for each role; the first of two equally sure ones."""
    found: dict[str, tuple[int, int]] = {}
    for position, name in enumerate(names):
        known = role_of(name)
        if known and (known[0] not in found or known[1] < found[known[0]][0]):
            found[known[0]] = (known[1], position)
    return {role: position for role, (_, position) in found.items()}


def shown(names: Sequence[str]) -> str:
    """Return a header for a person. It may be a row, so what is no plain words is only counted: it may be a loginId."""
    named = [name for name in names if len(name) <= _LONGEST_NAME and _WORDS.fullmatch(name)]
    others = len(names) - len(named)
    return ", ".join(named + ([f"{others} more that are no plain words"] if others else []))
