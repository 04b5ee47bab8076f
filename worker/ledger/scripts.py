"""Loads the Lua scripts, each behind the parts they share, and binds them to one Redis client."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.commands.core import Script

from worker.errors import LedgerMismatch, NotReplicated
from worker.ledger.connection import BytesRedis

NEWER = "the ledger was written by a newer Nightly; update this worker"
REPLICAS_WITHIN_MS = 2000
"""How long replicas have to confirm what a script wrote; less than the connection's own timeout."""

_CALLER = ("gather", "rate", "gate", "terms")
_ROWS = ("backfills", "rows")
_SETTLING = ("letters", *_ROWS, "history", "flight", "gate_turns", "health", "standing", "settling")
_CLAIMING = ("keys", "candidates", "claiming")
PARTS = {
    "record": ("gather", "letters", *_ROWS, "recording", "seals"),
    "claim": (*_CALLER, *_CLAIMING),
    "settle": (*_CALLER, *_SETTLING),
    "settle_and_claim": (*_CALLER, *_SETTLING, *_CLAIMING),
    "pulse": ("gather", "letters", *_ROWS, "history", "flight", "gate", "tidying", "places", "rate", "room", "keys"),
    "turn": ("gate", "gate_turns"),
    "park": ("letters", "seals"),
    "close": ("gather", "letters", *_ROWS),
    "enlist": ("places", "keys"),
    "lack": ("keys",),
    "begin": (),
    "add_chunk": ("backfills", "seals"),
    "commit": ("backfills",),
    "steer": ("backfills",),
    "lane": ("rate", "room"),
    "feed": ("gather", "letters", *_ROWS, "recording", "gate", "rate", "room", "seals"),
}
"""What each script needs beside the prelude, in order. Each run makes all these functions anew: none has idle ones."""


@cache
def source(name: str) -> str:
    """Return the text of one script with the shared parts in front."""
    folder = files("worker.ledger").joinpath("lua")
    parts = ("prelude", *PARTS[name], name)
    return "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts)


class Scripts:
    """The scripts of the ledger by name; each is sent to Redis once and then called by its digest."""

    def __init__(self, client: BytesRedis) -> None:
        self._client = client
        self._scripts: dict[str, Script] = {}

    def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script; raises redis.RedisError, and LedgerMismatch where newer code has changed the ledger."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._client.register_script(source(name))
        with self._judging():
            return script(args=args)

    def run_replicated(self, name: str, *args: str | bytes | float, replicas: int) -> Any:
        """Run one script, and return its reply when so many replicas have what it wrote; raises NotReplicated too.

        The whole text is sent along, so that the script and the WAIT, which asks about its own connection's writes
        alone, are one request: if that is sent again, on a new connection, both are.
        """
        if not replicas:
            return self.run(name, *args)
        with self._judging(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.eval(source(name), 0, *args)
            pipeline.wait(replicas, REPLICAS_WITHIN_MS)
            reply, confirmed = pipeline.execute()
        if confirmed < replicas:
            raise NotReplicated(f"{confirmed} of {replicas} replicas have confirmed it")
        return reply

    @contextmanager
    def _judging(self) -> Iterator[None]:
        try:
            yield
        except redis.ResponseError as error:
            if "NEWERLEDGER" in str(error):
                raise LedgerMismatch(NEWER) from None
            if _is_from_a_replica(error):  # the next call finds the new primary
                self._client.connection_pool.disconnect()
            raise


def _is_from_a_replica(error: redis.ResponseError) -> bool:
    """Redis 7 says so by the error's code, Redis 6.2 in the text of an error of the script."""
    return isinstance(error, redis.exceptions.ReadOnlyError) or "READONLY" in str(error)
