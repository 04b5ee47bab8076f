"""Reads what a trusted proxy says about a request: the client's address, and the person whom it has authenticated.

Anybody can send these headers, so they count only if the connection comes from an address in REVIEW_PROXY_ADDRESSES.
Does no I/O.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import Request

from worker.web.review.identity import Person, role_of

_MOST_CHARACTERS = 128
_FORWARDED_FOR = "x-forwarded-for"


@dataclass(frozen=True)
class TrustedProxy:
    """The proxy in front of the page, by the settings; without `networks` there is none."""

    networks: Sequence[IPv4Network | IPv6Network] = ()
    user_header: str = ""
    """Empty: the proxy authenticates nobody."""
    roles_header: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)

    def is_peer(self, request: Request) -> bool:
        """Return whether the connection comes from the proxy."""
        return self._trusts(_peer(request))

    def address_of(self, request: Request) -> str:
        """Return the client's address: behind the proxy, the last one in X-Forwarded-For that is not the proxy's."""
        found = _peer(request)
        forwarded = ",".join(request.headers.getlist(_FORWARDED_FOR)).split(",")
        while forwarded and self._trusts(found):
            claimed = forwarded.pop().strip()
            if not _is_address(claimed):
                break
            found = claimed
        return found

    def person(self, request: Request) -> Person | None:
        """Return the person whom the proxy has authenticated, also one without a role; None if it names nobody.

        A header that comes twice is refused: one of the two may be the client's.
        """
        names = self._named(request)
        if not names or not self.is_peer(request):
            return None
        name = _text(names[0])
        if len(names) > 1 or not name or len(name) > _MOST_CHARACTERS or not name.isprintable():
            return None
        groups = request.headers.getlist(self.roles_header) if self.roles_header else []
        role = role_of(map(_text, ",".join(groups).split(",")), self.roles)
        return Person(name, role, address=self.address_of(request), how="proxy")

    def is_forged(self, request: Request) -> bool:
        """Return whether a client that is not the proxy names a person."""
        return bool(self._named(request)) and not self.is_peer(request)

    def _named(self, request: Request) -> list[str]:
        return request.headers.getlist(self.user_header) if self.user_header else []

    def _trusts(self, address: str) -> bool:
        if not self.networks or not _is_address(address):
            return False
        found = ip_address(address)
        if isinstance(found, IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        return any(found in network for network in self.networks)


def _text(value: str) -> str:
    """Return a header's value as proxies mean it: as UTF-8, although HTTP reads it as Latin-1."""
    with suppress(UnicodeDecodeError):
        value = value.encode("latin-1").decode()
    return unicodedata.normalize("NFC", value).strip()


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
