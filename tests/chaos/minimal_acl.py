"""Reads the smallest ACL rule that Nightly works with from the guide, so that what is advised is what is tested."""

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"


def minimal_acl() -> str:
    """Return keys, channels and commands of the rule in docs/operating.md."""
    found = re.search(r"^ACL SETUSER nightly on >password (.+)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert found, "the guide names no ACL rule"
    return found[1]
