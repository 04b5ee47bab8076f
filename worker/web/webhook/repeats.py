"""Remembers which requests were accepted, so that one that is repeated costs neither allowance nor Redis.

Whoever overheard a signed request can send it again for as long as its timestamp holds.
"""

AT_MOST = 100_000
"""Requests that are remembered, about 14 MB of them. Older ones are accepted anew, which is harmless but not free."""
_KEPT_BYTES = 16
"""Of a signature: enough that no two requests share them by chance."""


class Accepted:
    """The latest accepted requests by their signature: at least the last AT_MOST / 2, at most AT_MOST.

    Two generations: when the younger one is full, the older one is forgotten at once.
    """

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._half = at_most // 2
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}

    def events_of(self, signature: bytes) -> int:
        """Return how many events the accepted request of that signature held; 0: it is not remembered."""
        kept = signature[:_KEPT_BYTES]
        return self._young.get(kept) or self._old.get(kept) or 0

    def remember(self, signature: bytes, events: int) -> None:
        """Remember a request that was accepted."""
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young
        self._young[signature[:_KEPT_BYTES]] = events
