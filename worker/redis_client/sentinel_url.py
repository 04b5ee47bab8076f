"""Parses `sentinel://[user:password@]host[:port],.../service[/database][?option=value]` for the ledger and the broker.

User and password are those of Redis itself. The options `sentinel_username` and `sentinel_password` are for sentinels
that require a login of their own.
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 26379
OPTIONS = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The sentinels' addresses, the service to look up, and both logins (decoded; None if absent)."""

    nodes: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, url: str) -> Self:
        """Return the parts of `url`; raises ValueError, whose text repeats no part of it."""
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        service, _, database = parts.path.strip("/").partition("/")
        options = dict(parse_qsl(parts.query))
        if not service or options.keys() - OPTIONS or not (database or "0").isdecimal():
            raise ValueError("must be sentinel://host:port,host:port/service/database")
        return cls(
            nodes=tuple(map(_node, hosts.split(","))),
            service=unquote(service),
            database=int(database or 0),
            username=unquote(user) or None,
            password=unquote(password) or None,
            sentinel_username=options.get("sentinel_username"),
            sentinel_password=options.get("sentinel_password"),
        )

    @property
    def sentinel_login(self) -> dict[str, str]:
        """redis-py's keyword arguments for the login to a sentinel."""
        pairs = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {name: value for name, value in pairs.items() if value is not None}


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("names a sentinel without a host")
    return parts.hostname, parts.port or DEFAULT_PORT
