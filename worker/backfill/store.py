"""Keeps backfills in Redis: their terms, their rows in sealed chunks, and the outcome of each row.

Blocking; every method raises redis.RedisError when Redis does not answer. The ledger's scripts change a backfill once
it exists; `forget` deletes one whose loading failed.
"""

import base64
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from worker.backfill.codec import ROWS_IN_CHUNK, backfill_of, pack, results_of, unpack
from worker.backfill.models import Asks, Backfill, Row, RowResult, Status
from worker.errors import BackfillError, SameFile, UnknownBackfill
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.scripts import Scripts
from worker.ledger.stored_hash import OnUnreadable, log_it, raise_it, read_hash, read_hashes, readable
from worker.redis_client.connect import BytesRedis, server_ms
from worker.vault.vault import Vault, needed

ALL, RUNNING = "nightly:backfills", "nightly:backfills:running"
LOADING_LIFE_MS = 86_400_000
"""A load without progress for this long expires."""
FUTURE_US = 60_000_000
"""Maximum distance of `as_of_us` into the future. A wish from the future would override live events until then."""
JOB = b"job-"
"""Ids of bulk jobs (`job_store.py`), which end as backfills do, begin with it."""
FEED_HINT, RESULT_BYTES = "nightly:feed-hint", 6


def random_id() -> str:
    """Return a new random id."""
    return "bf-" + base64.b32encode(os.urandom(7)).decode().lower()[:10]


class Backfills:
    """The backfills in one Redis. Its client must return bytes; only chunks need a vault."""

    def __init__(
        self,
        client: BytesRedis,
        vault: Vault | None,
        *,
        now_ms: Callable[[], int] | None = None,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self.redis = client
        self._vault = vault
        self._scripts = Scripts(client)
        self._audit = AuditLog(client, now_ms=now_ms)
        self._now_ms = now_ms
        self._new_id = new_id

    def create(
        self,
        *,
        instance: str,
        wish: Asks | str,
        reassert: bool = False,
        as_of_us: int,
        name: str = "-",
        by: str = "",
        rate: float | None = None,
        quiet: str = "",
        timezone: str = "",
        first_digest: str = "",
    ) -> Backfill:
        """Create a backfill that is loading: `commit` lets its rows be handed over. Raises BackfillError."""
        now = self.now_ms()
        if as_of_us > now * 1000 + FUTURE_US:
            raise BackfillError("a backfill's wishes cannot be dated in the future")
        backfill_id = self._new_id()
        terms = {"instance": instance, "wish": Asks(wish).value, "reassert": int(reassert), "as_of_us": as_of_us}
        labels = {"name": name, "by": by, "rate": rate or "", "quiet": quiet, "timezone": timezone}
        began = {"created_at": now, "first_digest": first_digest, "digest_so_far": ""}
        fields = {"status": Status.LOADING.value, **dict.fromkeys(("rows", "chunks", "fed", "ended"), 0)}
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(_key(backfill_id), mapping={**terms, **labels, **began, **fields})
            pipeline.pexpire(_key(backfill_id), LOADING_LIFE_MS)
            pipeline.zadd(ALL, {backfill_id: now})
            pipeline.execute()
        return self.get(backfill_id)

    def put_chunk(
        self, backfill_id: str, number: int, rows: Sequence[Row], digest_so_far: str, *, digest_before: str = ""
    ) -> None:
        """Add chunk `number` (from 0). A chunk that exists is kept. Every chunk except the last must be full.

        Raises UnknownBackfill, and BackfillError if the backfill is not loading, an earlier chunk is missing, or the
        chunks loaded so far do not have the digest `digest_before` (empty: not compared).
        """
        sealed = needed(self._vault).seal(f"{backfill_id} {number}", pack(rows))
        bounds = (ROWS_IN_CHUNK, LOADING_LIFE_MS)
        result = self._run(
            "backfill_add_chunk", backfill_id, number, len(rows), sealed, digest_so_far, *bounds, digest_before
        )
        if result == "gap":
            raise BackfillError(f"chunk {number} does not follow the last one of {backfill_id}")
        if result not in {"added", "known"}:
            raise BackfillError(f"backfill {backfill_id} is {result}: no more rows can be loaded")

    def commit(
        self, backfill_id: str, digest: str, *, by: Actor, again: bool = False, only_loaded: bool = False
    ) -> Backfill:
        """Start a backfill whose rows are all loaded, and record that. One that was started before does not change.

        Raises UnknownBackfill, BackfillError if it is cancelled, and SameFile if another backfill that is not
        cancelled has the same digest, unless `again`; then it is still loading. With `only_loaded`, also raises
        BackfillError if the rows loaded so far have another digest.
        """
        about = self.get(backfill_id)
        detail = {"instance": about.instance, "wish": about.wish.value, "rows": about.rows, "name": about.name}
        deed = Deed(by, "backfill.start", backfill_id, detail=detail)
        options = int(again), int(only_loaded)
        result = self._run("backfill_commit", backfill_id, digest, *options, deed=deed, done=b"running")
        if result.startswith("same "):
            raise SameFile(result.removeprefix("same "))
        if result == Status.CANCELLED:
            raise BackfillError(f"backfill {backfill_id} is cancelled")
        return self.get(backfill_id)

    def find_loading(self, first_digest: str) -> Backfill | None:
        """Return the newest backfill that is loading and has this `first_digest`, to resume it."""
        loading = (one for one in reversed(self.all(on_unreadable=log_it)) if one.status is Status.LOADING)
        return next((one for one in loading if one.first_digest == first_digest), None)

    def get(self, backfill_id: str) -> Backfill:
        """Return one backfill; raises UnknownBackfill and Unreadable."""
        raw = read_hash(self.redis, _key(backfill_id))
        if raw == {}:
            raise UnknownBackfill(f"there is no backfill {backfill_id!r}")
        return backfill_of(backfill_id, raw)

    def all(self, *, on_unreadable: OnUnreadable = raise_it) -> list[Backfill]:
        """Return every backfill, oldest first."""
        return self._read(self.redis.zrange(ALL, 0, -1), on_unreadable)

    def newest(self, count: int, *, on_unreadable: OnUnreadable) -> tuple[list[Backfill], int]:
        """Return the newest backfills with older ones that have not ended, and the number of all others."""
        newest = self._read(self.redis.zrange(ALL, -count, -1), on_unreadable)
        found = {one.id: one for one in (*newest, *self.running())}
        return list(found.values()), max(0, self.redis.zcard(ALL) - len(found))

    def running(self) -> list[Backfill]:
        """Return the backfills that have not ended, including paused and cancelled ones whose calls are not over.

        One that a person damaged in Redis is logged and left out, so that the others go on.
        """
        ids = self.redis.smembers(RUNNING)
        return self._read(sorted(name for name in ids if not name.startswith(JOB)), log_it)

    def pause(self, backfill_id: str, *, by: Actor) -> None:
        """Stop handing rows over until `resume`; raises UnknownBackfill, and BackfillError unless it is running."""
        self._set_status(backfill_id, "pause", by)

    def resume(self, backfill_id: str, *, by: Actor) -> None:
        """Hand rows over again; raises UnknownBackfill, and BackfillError unless it is paused."""
        self._set_status(backfill_id, "resume", by)

    def cancel(self, backfill_id: str, *, by: Actor) -> None:
        """Stop handing rows over for good; raises UnknownBackfill, and BackfillError if it has ended."""
        self._set_status(backfill_id, "cancel", by)

    def forget(self, backfill_id: str) -> None:
        """Delete a backfill that is loading; raises BackfillError for any other status. It may be deleted already."""

        def remove(pipeline: Any) -> None:
            if pipeline.hget(_key(backfill_id), "status") not in {None, b"loading"}:
                raise BackfillError(f"backfill {backfill_id} is already loaded; cancel it")
            pipeline.multi()
            pipeline.delete(_key(backfill_id), _key(backfill_id) + ":chunks")
            pipeline.zrem(ALL, backfill_id)

        self.redis.transaction(remove, _key(backfill_id))  # tries again if another start commits it meanwhile

    def chunk(self, backfill_id: str, number: int) -> list[Row]:
        """Return the rows of one chunk; raises UnknownBackfill if it does not exist, SealError, UnknownKey."""
        sealed = self.redis.hget(_key(backfill_id) + ":chunks", str(number))
        if sealed is None:
            raise UnknownBackfill(f"backfill {backfill_id!r} has no chunk {number}")
        return unpack(needed(self._vault).open(f"{backfill_id} {number}", sealed))

    def results(self, backfill_id: str, start: int, count: int) -> list[RowResult]:
        """Return the results of `count` rows from row `start` (from 0) on; raises UnknownBackfill."""
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(_key(backfill_id))
            last = max((start + count) * RESULT_BYTES - 1, 0)
            pipeline.getrange(_key(backfill_id) + ":rows", start * RESULT_BYTES, last)
            raw, packed = pipeline.execute()
        if not raw or b"status" not in raw:
            raise UnknownBackfill(f"there is no backfill {backfill_id!r}")
        return results_of(raw, packed, start, count)

    def feed(
        self, backfill_id: str, first: int, fields: Sequence[str | bytes], *, fingerprint: str
    ) -> tuple[str, int, int]:
        """Hand over rows from row `first` on. `fields` has three fields a row, as backfill_feed.lua takes them.

        `fingerprint` names the caller's configuration of the backfill's instance. If that configuration may make no
        calls now, no row is handed over. Returns the state (`fed`, or the reason why no row was handed over), the
        number of rows handed over, and how many more rows the lane takes now.
        """
        now = self._now()
        state, handed_over, room = self._scripts.run("backfill_feed", now, backfill_id, fingerprint, first, *fields)
        return state.decode(), int(handed_over), int(room)

    def is_key_held(self, key_id: str) -> bool:
        """Return whether a live worker holds a key that the caller lacks; if none does, the missing key is noted."""
        return bool(self._scripts.run("note_missing_key", self._now(), key_id))

    def lane_room(self, instance: str) -> int:
        """Return how many rows the lane of an instance takes now."""
        return int(self._scripts.run("backfill_room", self._now(), instance))

    def hold_hints(self, milliseconds: int) -> None:
        """Send no `backfill.feed` messages for a while; a backfill that is started or resumed ends the pause."""
        self.redis.set(FEED_HINT, 1, px=milliseconds)

    def now_ms(self) -> int:
        """Return the time of Redis in milliseconds since 1970."""
        return self._now_ms() if self._now_ms else server_ms(self.redis)

    def _now(self) -> str | int:
        return self._now_ms() if self._now_ms else ""

    def _set_status(self, backfill_id: str, action: str, by: Actor) -> None:
        result = self._run("backfill_set_status", backfill_id, action, deed=Deed(by, f"backfill.{action}", backfill_id))
        if result != "done":
            raise BackfillError(f"backfill {backfill_id} is {result}: it cannot {action}")

    def _run(
        self, script: str, backfill_id: str, *args: str | bytes | int, deed: Deed | None = None, done: bytes = b"done"
    ) -> str:
        run = partial(self._scripts.run, script, self._now(), backfill_id, *args)
        reply = self._audit.perform(deed, lambda audit: run(*audit), done=done) if deed else run()
        result: str = reply.decode()
        if result == "unknown":
            raise UnknownBackfill(f"there is no backfill {backfill_id!r}")
        if result == "changed":
            raise BackfillError(f"another start loads the same rows into {backfill_id}; repeat this one when it ended")
        return result

    def _read(self, ids: Sequence[bytes], on_unreadable: OnUnreadable) -> list[Backfill]:
        names = [raw.decode("utf-8", "replace") for raw in ids]
        return list(readable(backfill_of, names, read_hashes(self.redis, map(_key, names)), on_unreadable))


def _key(backfill_id: str) -> str:
    return f"nightly:backfill:{backfill_id}"
