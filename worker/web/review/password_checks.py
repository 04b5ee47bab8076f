"""Queues password checks: at most two run at once, and each pair of address and name has a short queue.

Addresses take turns, and so do the names of one address. So a flood of guesses delays only those who sign in from the
same address, and those with the same name most.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CHECKS_AT_ONCE = 2
LINE_AT_MOST = 8
"""Maximum length of the queue of one name at one address: a few seconds of work."""
WAITING_AT_MOST = 64
"""Maximum length of all queues together. A further check replaces one of the address that has most of them."""


class TooManyChecks(Exception):
    """The queue is full: the password was not checked."""


@dataclass(eq=False, slots=True)
class _Waiter:
    turn: asyncio.Future[None]
    came_back: bool


class Checks:
    """Decides which check runs next. Used from one event loop; the caller runs the check, in a thread."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, OrderedDict[str, deque[_Waiter]]] = OrderedDict()
        self._running = 0

    def __len__(self) -> int:
        return sum(map(len, self._all_queues()))

    async def turn(self, address: str, name: str, *, came_back: bool) -> None:
        """Wait for a turn, which `done` ends; raises TooManyChecks.

        `came_back`: these credentials were refused for lack of room before, and replace those that are seen for the
        first time. A person tries the same password again; an attacker who guesses does not.
        """
        waiter = _Waiter(asyncio.get_running_loop().create_future(), came_back)
        self._make_room(address, self._queue(address, name), came_back=came_back)
        self._queues.setdefault(address, OrderedDict()).setdefault(name, deque()).append(waiter)
        self._call_next()
        await waiter.turn

    def done(self) -> None:
        """End a turn."""
        self._running -= 1
        self._call_next()

    def _queue(self, address: str, name: str) -> deque[_Waiter]:
        return self._queues.get(address, OrderedDict()).get(name, deque())

    def _all_queues(self) -> Iterator[deque[_Waiter]]:
        return (queue for names in self._queues.values() for queue in names.values())

    def _make_room(self, address: str, own: deque[_Waiter], *, came_back: bool) -> None:
        """If this queue or all queues together are full, remove one waiter; raises TooManyChecks if none may go.

        It is the newest one of that queue, or of the longest queue of the address with most of them, whose credentials
        did not come back.
        """
        if len(own) >= LINE_AT_MOST:
            full, is_fair = own, came_back
        elif len(self) >= WAITING_AT_MOST:
            most = max(self._queues.values(), key=_waiting)
            full = max(most.values(), key=lambda queue: (any(not waiter.came_back for waiter in queue), len(queue)))
            beside = _waiting(self._queues.get(address, OrderedDict()))
            is_fair = came_back or len(full) > len(own) + 1 or _waiting(most) > beside + 1
        else:
            return
        victim = next((waiter for waiter in reversed(full) if not waiter.came_back), None)
        if victim is None or not is_fair:
            raise TooManyChecks
        full.remove(victim)
        victim.turn.set_exception(TooManyChecks())

    def _call_next(self) -> None:
        while self._running < CHECKS_AT_ONCE and (waiter := self._next()) is not None:
            if not waiter.turn.done():
                self._running += 1
                waiter.turn.set_result(None)

    def _next(self) -> _Waiter | None:
        """Return the next waiter; its address and its name move behind the others."""
        while self._queues:
            address, names = self._queues.popitem(last=False)
            name, queue = names.popitem(last=False)
            waiter = queue.popleft() if queue else None
            if queue:
                names[name] = queue
            if names:
                self._queues[address] = names
            if waiter is not None:
                return waiter
        return None


def _waiting(names: Mapping[str, deque[_Waiter]]) -> int:
    return sum(map(len, names.values()))


class Recent:
    """Remembers the last `limit` digests that were added."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        """Add one, and forget the oldest if there are more than `limit`."""
        self._digests[digest] = None
        self._digests.move_to_end(digest)
        if len(self._digests) > self._limit:
            self._digests.popitem(last=False)
