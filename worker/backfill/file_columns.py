"""Finds the column or field that holds the loginId, the account id or the instance, by the names people give them.

Case and punctuation of a name do not matter.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

LOGIN, ACCOUNT, INSTANCE = "login_id", "account_id", "instance"
REASON = "reject_reason"
"""First column of a CSV of rejected rows that `report.py` wrote. The cells of such a file are neutralised
(`csv_cells.py`)."""
ALIASES: Mapping[str, Sequence[str]] = {
    LOGIN: ("loginid", "flinksloginid", "flinkslogin", "login", "loginguid"),
    ACCOUNT: (
        "accountid", "account", "accountnumber", "customerid", "customer", "custid", "clientid", "client",
        "externalid", "subject",
    ),
    INSTANCE: ("instance", "flinksinstance"),
}  # fmt: skip
"""Names for each role, without case and punctuation, the most certain first. If a file has several, that one counts."""
_RANKS = {alias: (role, rank) for role, aliases in ALIASES.items() for rank, alias in enumerate(aliases)}
_WORDS = re.compile(r"[^\W\d]++(?: [^\W\d]++){0,4}")
"""One to five words of letters; an underscore counts as a letter."""
_LONGEST_NAME = 30


@lru_cache(maxsize=1024)
def role_of(name: str) -> tuple[str, int] | None:
    """Return the role of a column name and its rank (0 is the most certain)."""
    return _RANKS.get("".join(filter(str.isalnum, name)).casefold())


def roles_in(names: Iterable[str]) -> dict[str, int]:
    """Return the position of the most certain name for each role; of two equal ones, the first."""
    best: dict[str, tuple[int, int]] = {}
    for position, name in enumerate(names):
        known = role_of(name)
        if known and (known[0] not in best or known[1] < best[known[0]][0]):
            best[known[0]] = (known[1], position)
    return {role: position for role, (_, position) in best.items()}


def shown(names: Sequence[str]) -> str:
    """Return a header as text for a person.

    The line may be a row instead of a header. A name that is not plain words may be a loginId, so it is only counted.
    """
    plain = [name for name in names if len(name) <= _LONGEST_NAME and _WORDS.fullmatch(name)]
    others = len(names) - len(plain)
    return ", ".join(plain + ([f"{others} more that are not plain words"] if others else []))
