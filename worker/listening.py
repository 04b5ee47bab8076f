"""A listening socket that accepts a limited number of connections; each open connection takes one place.

When all places are taken, a new connection replaces the one whose client has kept the server waiting longest, among
the connections of the network with the most of them. A connection whose request is being processed is never replaced.
"""

import asyncio
import contextlib
import errno
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from operator import itemgetter

RESERVED_DESCRIPTORS = 150
"""File descriptors for everything but clients: Redis connections (one per thread), files, connections that close."""
ARRIVING_AT_ONCE = 16
"""Accepted connections that no protocol has taken over yet. Further connections wait in the kernel's queue."""
SHORTAGE_SECONDS = 0.05
"""Pause if no file descriptor is free and no connection can be closed, so that the event loop does not spin."""
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_DETAIL = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"busy",'
    b'"detail":"too many connections at once"}'
)
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_DETAIL), _DETAIL)
)


@dataclass(eq=False, slots=True)
class Place:
    """One connection. `waits_since` is when we began to wait for its client (monotonic), None while we work."""

    network: str
    close: Callable[[], None]
    waits_since: float | None = field(default_factory=time.monotonic)

    def wait(self) -> None:
        """Begin to wait for the client, unless we wait already."""
        if self.waits_since is None:
            self.waits_since = time.monotonic()

    def work(self) -> None:
        """Begin to work on the client's request."""
        self.waits_since = None


class Places:
    """The connections of one server. `on_closed` and `on_refused` are called for each closed or refused connection."""

    def __init__(
        self,
        limit: int,
        *,
        on_closed: Callable[[], None] = lambda: None,
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.limit = limit
        self.arriving = 0
        self._taken: set[Place] = set()
        self._on_closed, self._on_refused = on_closed, on_refused

    def __len__(self) -> int:
        return self.arriving + len(self._taken)

    def admit(self) -> bool:
        """Return whether a place is free for an accepted connection; its protocol then calls `enter`."""
        if len(self) >= self.limit and not self.make_room():
            self._on_refused()
            return False
        self.arriving += 1
        return True

    def enter(self, transport: asyncio.Transport) -> Place:
        """Give an admitted connection its place."""
        peer = transport.get_extra_info("peername")
        place = Place(network_of(peer[0] if peer else ""), transport.abort)
        self.arriving -= 1
        self._taken.add(place)
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; a second call does nothing."""
        self._taken.discard(place)

    def make_room(self) -> bool:
        """Close the connection to replace; returns False if we wait for no client."""
        held = Counter(place.network for place in self._taken)
        waiting = [
            (-held[place.network], place.waits_since, place) for place in self._taken if place.waits_since is not None
        ]
        if not waiting:
            return False
        *_, longest = min(waiting, key=itemgetter(0, 1))
        self._taken.discard(longest)
        longest.close()
        self._on_closed()
        return True


class BoundedListener(socket.socket):
    """A listening socket for asyncio's own event loop, which calls `accept` until it would block."""

    places: Places
    pause_seconds: float = 0
    """Pause before each connection; only for an event loop that has its own thread."""

    def accept(self) -> tuple[socket.socket, object]:
        """Return a connection that has a place; raises BlockingIOError if the event loop should continue first."""
        if self.places.arriving >= ARRIVING_AT_ONCE:
            raise BlockingIOError
        if self.pause_seconds:
            time.sleep(self.pause_seconds)
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in _SHORTAGES:
                raise
            if not self.places.make_room():
                time.sleep(SHORTAGE_SECONDS)
            raise BlockingIOError from None
        if not self.places.admit():
            _turn_away(connection)
            raise BlockingIOError
        return connection, address


def listen(host: str, port: int, places: Places, *, pause_seconds: float = 0) -> BoundedListener:
    """Return a listening socket whose connections send without delay (TCP_NODELAY); raises OSError."""
    plain = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio does not recognise such a socket as TCP; without the option each answer would wait 40 ms.
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener = BoundedListener(plain.family, plain.type, plain.proto, fileno=plain.detach())
    listener.places, listener.pause_seconds = places, pause_seconds
    return listener


def places_that_fit(wanted: int) -> int:
    """Raise the limit of open files if needed, and return how many of `wanted` connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - RESERVED_DESCRIPTORS)


def network_of(host: str) -> str:
    """Return the address range that one client controls: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


def _turn_away(connection: socket.socket) -> None:
    connection.settimeout(0)
    with connection, contextlib.suppress(OSError):
        connection.send(BUSY)
        connection.shutdown(socket.SHUT_WR)
