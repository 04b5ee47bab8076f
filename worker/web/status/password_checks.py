"""Decides whose password is checked next: two checks at once, and a short line for each address and name.

Addresses take turns, and within one its names, so a flood of guesses delays only log-ins with the same address and
name.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

CHECKS_AT_ONCE = 2
LINE_AT_MOST = 8
"""For one name from one address: a few seconds of work."""
WAITING_AT_MOST = 64
"""In all lines. More push out those of the longest line."""


class TooManyChecks(Exception):
    """More passwords wait to be checked than there is room for; this one was not checked."""


@dataclass(eq=False, slots=True)
class _Waiter:
    turn: asyncio.Future[None]
    came_back: bool


class Checks:
    """Runs checks in threads, because each takes a third of a second of CPU. Belongs to one event loop."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[str, deque[_Waiter]]] = OrderedDict()
        self._running = 0

    def __len__(self) -> int:
        return sum(map(len, self._all_lines()))

    async def turn(self, address: str, name: str, *, came_back: bool) -> None:
        """Wait for a turn, which `done` ends; raises TooManyChecks.

        `came_back`: credentials that found no room before push out those that are seen for the first time. A person
        tries the same password again; an attacker who guesses does not.
        """
        waiter = _Waiter(asyncio.get_running_loop().create_future(), came_back)
        self._make_room(self._line(address, name), came_back=came_back)
        self._lines.setdefault(address, OrderedDict()).setdefault(name, deque()).append(waiter)
        self._call_next()
        await waiter.turn

    def done(self) -> None:
        """End a turn."""
        self._running -= 1
        self._call_next()

    def _line(self, address: str, name: str) -> deque[_Waiter]:
        return self._lines.get(address, OrderedDict()).get(name, deque())

    def _all_lines(self) -> Iterator[deque[_Waiter]]:
        return (line for names in self._lines.values() for line in names.values())

    def _make_room(self, own: deque[_Waiter], *, came_back: bool) -> None:
        """Push out the newest first-timer of a full line, or of the longest if all are full; raises TooManyChecks."""
        if len(own) >= LINE_AT_MOST:
            full = own
        elif len(self) >= WAITING_AT_MOST:
            full = max(self._all_lines(), key=len)
        else:
            return
        victim = next((waiter for waiter in reversed(full) if not waiter.came_back), None)
        if victim is None or not (came_back or len(full) > len(own) + 1):
            raise TooManyChecks
        full.remove(victim)
        victim.turn.set_exception(TooManyChecks())

    def _call_next(self) -> None:
        while self._running < CHECKS_AT_ONCE and (waiter := self._next()) is not None:
            if not waiter.turn.done():
                self._running += 1
                waiter.turn.set_result(None)

    def _next(self) -> _Waiter | None:
        """Take the next in turn; its address and its name go to the end of their rounds."""
        while self._lines:
            address, names = self._lines.popitem(last=False)
            name, line = names.popitem(last=False)
            waiter = line.popleft() if line else None
            if line:
                names[name] = line
            if names:
                self._lines[address] = names
            if waiter is not None:
                return waiter
        return None


class Recent:
    """Remembers the last `limit` digests that were added."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        """Add one, and forget the oldest where there are too many."""
        self._digests[digest] = None
        self._digests.move_to_end(digest)
        if len(self._digests) > self._limit:
            self._digests.popitem(last=False)
