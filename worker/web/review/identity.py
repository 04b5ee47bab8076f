"""Who a request is from, and what each role may do. Does no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from worker.config.validators import ROLES
from worker.ledger.audit_entries import Actor


@dataclass(frozen=True, slots=True)
class Person:
    """Who a request is from."""

    name: str
    role: str
    """viewer | operator | admin; empty: somebody authenticated this person, and no group of theirs has a role here."""
    via: str = "page"
    """page | api"""
    address: str = ""
    how: str = "password"
    """password | link | oidc | proxy | token"""
    subject: str = ""
    """The provider's own id of a person who signs in by `oidc`: some let people change their name."""

    def may(self, needed: str) -> bool:
        """Return whether this person has the role `needed`, or a higher one."""
        return self.role in ROLES and ROLES.index(self.role) >= ROLES.index(needed)

    @property
    def actor(self) -> Actor:
        """The person as the audit log names them."""
        return Actor(self.name, self.role, self.via, self.address)


def role_of(groups: Iterable[str], roles: Mapping[str, str]) -> str:
    """Return the highest role that `roles` (REVIEW_ROLES) has for one of the groups; empty if it has none."""
    found = {roles[group] for group in groups if group in roles}
    return max(found, key=ROLES.index, default="")
