"""Reads the smallest ACL rule for Nightly from the guide, so that the tests use the advised rule."""

import re

from tests.places import ROOT

GUIDE = ROOT / "docs" / "operating.md"


def minimal_acl(user: str = "nightly") -> str:
    """Return the rule in docs/operating.md for `nightly`, `producer` or `celery-producer`: keys, channels, commands."""
    found = re.search(rf"^ACL SETUSER {user} on >password (.+)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert found, f"the guide names no rule for {user}"
    return found[1]


def minimal_acl_parts(user: str, *, has_selectors: bool) -> list[str]:
    """Return the rule as the arguments of ACL SETUSER, for Redis 6.2 without selectors, as the guide describes."""
    rule = minimal_acl(user)
    if not has_selectors:
        return rule.translate({ord("("): None, ord(")"): None}).split()
    return re.findall(r"\([^)]*\)|\S+", rule)
