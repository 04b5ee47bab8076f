"""Reads the smallest ACL rule that Nightly works with from the guide, so that what is advised is what is tested."""

import re

from tests.places import ROOT

GUIDE = ROOT / "docs" / "operating.md"


def minimal_acl(user: str = "nightly") -> str:
    """Return keys, channels and commands of the rule in docs/operating.md for `nightly` or for `producer`."""
    found = re.search(rf"^ACL SETUSER {user} on >password (.+)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert found, f"the guide names no rule for {user}"
    return found[1]
