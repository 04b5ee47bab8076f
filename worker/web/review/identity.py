"""Who a request is from, and what each role may do. Does no I/O."""

from dataclasses import dataclass

ROLES = ("viewer", "operator", "admin")
"""From the least to the most: each role may do all that the ones before it may."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a request is from."""

    name: str
    role: str
    via: str = "page"
    """page | api"""
    address: str = ""
    how: str = "password"
    """password | link | oidc | proxy | token"""

    def may(self, needed: str) -> bool:
        """Return whether this person has the role `needed`, or a higher one."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(needed)


def highest_role(roles: list[str]) -> str | None:
    """Return the highest of our roles in a list; None if it has none."""
    found = [role for role in ROLES if role in roles]
    return found[-1] if found else None
