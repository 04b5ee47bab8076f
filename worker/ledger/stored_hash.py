"""Reads hashes of Redis field by field; one that a person damaged raises Unreadable."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import redis

from worker.errors import Unreadable
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import is_wrong_type
from worker.telemetry.logs import get_logger

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999. No number of a hash is larger, except microseconds."""


Hash = Mapping[bytes, bytes]
OnUnreadable = Callable[[Unreadable], None]
"""What to do with a damaged hash of a list, beside which the others are returned."""
log = get_logger(__name__)
Thing = TypeVar("Thing")


def raise_it(error: Unreadable) -> None:
    """Raise the error."""
    raise error


def log_it(error: Unreadable) -> None:
    """Log the error."""
    log.error("unreadable_in_redis", reason=str(error))


def readable(
    read: Callable[[str, Hash | None], Thing],
    ids: Iterable[str],
    hashes: Iterable[Hash | None],
    on_unreadable: OnUnreadable,
) -> Iterator[Thing]:
    """Yield what `read` makes of each id and its hash, without hashes that are gone."""
    for thing_id, raw in zip(ids, hashes, strict=True):
        try:
            if raw != {}:
                yield read(thing_id, raw)
        except Unreadable as error:
            on_unreadable(error)


def read_hashes(client: BytesRedis, keys: Iterable[str]) -> Iterator[Hash | None]:
    """Yield each hash; an empty one if there is no such key, None if the key has another type."""
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        for reply in pipeline.execute(raise_on_error=False):
            yield unless_wrong_type(reply)


def read_hash(client: BytesRedis, key: str) -> Hash | None:
    """Return one hash, as `read_hashes` yields it."""
    (found,) = read_hashes(client, [key])
    return found


def unless_wrong_type(reply: Any) -> Any:
    """Return a reply of a pipeline; None for a key of another type. Raises every other error that the reply may be."""
    if not isinstance(reply, redis.RedisError):
        return reply
    if not is_wrong_type(reply):
        raise reply
    return None


class StoredHash:
    """The fields of one hash. `thing` and `key` name it in the error; `raw` is as `read_hashes` yields it.

    A field that is missing or empty has the default, or raises Unreadable if there is none.
    """

    def __init__(self, thing: str, key: str, raw: Hash | None) -> None:
        self._thing, self._key = thing, key
        if raw is None:
            raise self.unreadable("it is not a hash")
        self._raw = raw

    def unreadable(self, problem: str) -> Unreadable:
        """Return the error for a problem that the caller found."""
        return Unreadable(self._thing, self._key, problem)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; bytes that are not UTF-8 are replaced."""
        text = self._raw.get(name.encode(), b"").decode("utf-8", "replace") or default
        if text is None:
            raise self.unreadable(f"its field {name} is missing")
        return text

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """Return a text that is one of `allowed`."""
        text = self.text(name, default)
        if text not in allowed:
            raise self.unreadable(f"its field {name} is none of {', '.join(filter(None, allowed))}")
        return text

    def number(self, name: str, default: int | None = None, *, at_most: int = LATEST_MS) -> int:
        """Return a whole number from 0 on."""
        text = self.text(name, None if default is None else str(default))
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(at_most)) and int(text) <= at_most):
            raise self.unreadable(f"its field {name} is not a whole number from 0 to {at_most}")
        return int(text)

    def rate(self, name: str) -> float | None:
        """Return a positive number; None if the field is missing or empty."""
        try:
            rate = float(text) if (text := self.text(name, "")) else None
        except ValueError:
            rate = 0.0
        if rate is not None and not 0 < rate < float("inf"):
            raise self.unreadable(f"its field {name} is not a positive number")
        return rate

    def number_or_none(self, name: str) -> int | None:
        """Return a whole number from 0 on; None if the field is missing or empty."""
        return self.number(name) if self.text(name, "") else None
