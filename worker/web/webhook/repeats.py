"""Remembers accepted requests, so that a repeated one costs neither its sender's rate nor a Redis command.

A signed request that was recorded can be sent again for as long as its timestamp is recent.
"""

AT_MOST = 100_000
"""Maximum requests that are remembered, in about 14 MB. Older ones are appended again, which is harmless."""
_KEPT_BYTES = 16
"""Bytes of a signature that are kept; they differ for any two requests."""


class Accepted:
    """The newest accepted requests by their signature: at least the last `at_most` / 2, and at most `at_most`.

    They are kept in two generations. When the younger one is full, the older one is dropped.
    """

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._half = at_most // 2
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def events_of(self, signature: bytes) -> int:
        """Return the number of events of the accepted request with this signature; 0 if it is not remembered."""
        kept = signature[:_KEPT_BYTES]
        return self._young.get(kept) or self._old.get(kept) or 0

    def remember(self, signature: bytes, events: int) -> None:
        """Remember an accepted request."""
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young
        self._young[signature[:_KEPT_BYTES]] = events
