"""Assembles each Lua script from the library files that it needs, and runs it on one Redis client."""

import asyncio
import hashlib
from concurrent.futures import Executor
from functools import cache
from importlib.resources import files
from typing import Any

import redis

from worker.errors import LedgerMismatch, NotReplicated
from worker.redis_client.connect import BytesRedis
from worker.redis_client.in_loop import run_in_loop

NEWER = "the ledger was written by a newer Nightly; update this worker"
REPLICAS_WITHIN_MS = 2000
"""How long to wait until replicas confirm a write; less than the timeout of the connection."""

PARTS = {
    "record": ("login_keys", "history", "dead_letters", "backfill", "bytes", "wishes"),
    "settle_and_claim": (
        "gate",
        "rate_limit",
        "history",
        "dead_letters",
        "backfill",
        "in_flight",
        "outage",
        "credentials",
        "settle",
        "login_keys",
        "candidates",
        "claim",
    ),
    "append_audit": ("audit",),
    "set_group": ("audit", "dead_letters"),
    "set_gate": ("audit", "gate"),
    "pulse": (
        "history",
        "dead_letters",
        "backfill",
        "in_flight",
        "gate",
        "rate_limit",
        "backfill_lane",
        "bulk",
        "login_keys",
        "slots",
        "minutes",
        "tidy",
    ),
    "keep_rejected": ("login_keys", "dead_letters"),
    "close_dead_letter": (
        "login_keys",
        "history",
        "dead_letters",
        "backfill",
        "bytes",
        "wishes",
        "audit",
        "letter_actions",
    ),
    "change_letter": ("history", "dead_letters", "backfill", "audit", "letter_actions"),
    "join_reconcilers": ("login_keys", "slots"),
    "note_missing_key": ("login_keys",),
    "open_ledger": (),
    "backfill_add_chunk": ("login_keys", "backfill"),
    "backfill_commit": ("audit", "backfill"),
    "backfill_set_status": ("audit", "backfill"),
    "backfill_room": ("rate_limit", "backfill_lane"),
    "open_session": (),
    "use_session": (),
    "end_session": (),
    "keep_sign_in_link": (),
    "use_sign_in_link": (),
    "backfill_feed": (
        "login_keys",
        "history",
        "dead_letters",
        "backfill",
        "bytes",
        "wishes",
        "gate",
        "rate_limit",
        "backfill_lane",
    ),
    "group_views": (),
    "bulk_prepare": ("backfill",),
    "bulk_preflight": ("backfill",),
    "bulk_keep_counts": ("backfill",),
    "bulk_run": ("backfill", "audit"),
    "bulk_feed": (
        "login_keys",
        "history",
        "dead_letters",
        "backfill",
        "bytes",
        "wishes",
        "letter_actions",
        "bulk",
        "gate",
        "rate_limit",
        "backfill_lane",
    ),
    "find_letters": ("dead_letters", "bytes", "letter_sources"),
}
"""The files of lib/ that each command needs beside common.lua, in order. Each run creates all their functions again."""


@cache
def source(name: str) -> str:
    """Return the text of one script: common.lua, then a function of its library files and the command.

    Without that function, each function that uses a variable of common.lua would find it by a search through all
    variables of the script: a quarter of what it takes to create the functions.
    """
    folder = files("worker.ledger").joinpath("lua")
    paths = ("lib/common.lua", *(f"lib/{part}.lua" for part in PARTS[name]), f"commands/{name}.lua")
    common, *rest = (folder.joinpath(path).read_text("utf-8") for path in paths)
    return "\n".join((common, "return (function()", *rest, "end)()"))


@cache
def digest(name: str) -> str:
    """Return the digest by which Redis names one script."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """The scripts of the ledger by name. Each is sent to Redis once, and then called by its digest."""

    def __init__(self, client: BytesRedis) -> None:
        self._client = client

    def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script; raises redis.RedisError, and LedgerMismatch if newer code has changed the ledger."""
        try:
            try:
                return self._client.evalsha(digest(name), 0, *args)
            except redis.exceptions.NoScriptError:  # a new Redis, or an emptied one
                return self._client.eval(source(name), 0, *args)
        except redis.ResponseError as error:
            self._judge(error)
            raise

    def run_replicated(self, name: str, *args: str | bytes | float, replicas: int) -> Any:
        """Run one script, and return its reply once that many replicas confirmed its writes; raises NotReplicated, too.

        WAIT asks only about writes of its own connection. So the script is sent in full, in one request with WAIT:
        a retry on a new connection repeats both.
        """
        if not replicas:
            return self.run(name, *args)
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.eval(source(name), 0, *args)
                pipeline.wait(replicas, REPLICAS_WITHIN_MS)
                reply, confirmed = pipeline.execute()
        except redis.ResponseError as error:
            self._judge(error)
            raise
        if confirmed < replicas:
            raise NotReplicated(f"{confirmed} of {replicas} replicas have confirmed it")
        return reply

    async def run_in_loop(
        self, name: str, *args: str | bytes | float, threads: Executor | None, wake_key: str = "", seconds: float = 0
    ) -> Any:
        """Run one script from an event loop; connects in one of `threads`.

        With `wake_key`, it runs as soon as that list has an entry, which is removed, or after `seconds`. Both commands
        are sent at once, so that the script runs within Redis' same turn as the wake-up. It runs as well if Redis
        refuses to wait, and its reply counts: the event loop waits then.
        """
        commands = [("BLPOP", wake_key, seconds)] if wake_key else []
        command = "EVALSHA", digest(name), 0, *args
        try:
            *woken, reply = await run_in_loop(self._client, *commands, command, threads=threads, wait_seconds=seconds)
            if isinstance(reply, redis.exceptions.NoScriptError):  # a new Redis, or an emptied one
                (reply,) = await run_in_loop(self._client, ("EVAL", source(name), 0, *args), threads=threads)
            if isinstance(reply, redis.ResponseError):
                raise reply
            if woken and isinstance(woken[0], redis.ResponseError):
                if _is_from_a_replica(woken[0]):
                    raise woken[0]
                await asyncio.sleep(seconds)
        except redis.ResponseError as error:
            self._judge(error)
            raise
        return reply

    def _judge(self, error: redis.ResponseError) -> None:
        """Raise LedgerMismatch instead if newer code refused the script; leave a server that is a replica."""
        if "NEWERLEDGER" in str(error):
            raise LedgerMismatch(NEWER) from None
        if _is_from_a_replica(error):  # the next call connects to the new primary
            self._client.connection_pool.disconnect()


def _is_from_a_replica(error: redis.RedisError) -> bool:
    """Redis 7 has an error code for this; Redis 6.2 names it in the text of the script's error."""
    return isinstance(error, redis.exceptions.ReadOnlyError) or "READONLY" in str(error)
