"""The audit log in Redis: who changed what, why and from where, in a chain of hashes that is never trimmed.

Each change by a person and its entry are made by one script, so there is never one without the other. `AuditLog` is
blocking; its methods raise redis.RedisError if Redis does not answer.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from worker.errors import AuditBusy, LedgerError
from worker.ledger.audit_entries import (
    Actor,
    Deed,
    Entry,
    Head,
    Verification,
    hash_of,
    next_entry,
    verify_chain,
)
from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis
from worker.telemetry.logs import get_logger

__all__ = ["Actor", "AuditArgs", "AuditLog", "Deed", "Entry", "Head", "Verification", "log_head", "verify_chain"]

AuditArgs = tuple[str, str, str]
"""The last three arguments of a script that a person runs: head before, head after, entry."""

AUDIT, HEAD = "nightly:audit", "nightly:audit-head"
TRIES, LONGEST_WAIT_SECONDS = 60, 0.05
PAGE = 1000
log = get_logger(__name__)


class AuditLog:
    """The audit log behind one Redis client, which must return bytes. `now_ms` is for tests."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.redis = client
        self._scripts = Scripts(client)
        self._now_ms = now_ms

    def perform(self, deed: Deed, run: Callable[[AuditArgs], Any], *, done: Any = b"done") -> Any:
        """Run a script that makes a change and appends the entry of `deed`; returns the script's reply.

        `run` calls the script with the three arguments it is given as the last ones. It is called again if the script
        replies `head`, as another entry came first. A script may also refuse the change; then it appends nothing.
        `done` is returned if the change was made and the connection lost the script's reply. Raises AuditBusy if there
        is always another entry first, and LedgerError if the head is unreadable; nothing was done then.
        """
        for tried in range(TRIES):
            before, at = self._head_and_time()
            entry = next_entry(deed, before, at)
            reply = run((str(before), str(entry.head), entry.text))
            if reply == b"head" and self.redis.lindex(AUDIT, before.number) == entry.text.encode():
                reply = done
            if reply != b"head":
                self._log_if_moved(before)
                return reply
            time.sleep(random.uniform(0, min(0.001 * 2**tried, LONGEST_WAIT_SECONDS)))  # noqa: S311 - not a secret
        raise AuditBusy("Others change the ledger all the time just now. Nothing was done; please try again.")

    def append(self, deed: Deed, *, also: Sequence[str] = ()) -> None:
        """Record what no other script changes, such as a reveal or a sign-in. Raises AuditBusy.

        `also`: what else the entry is about, beside the target of the deed.
        """
        now = self._now_ms() if self._now_ms else ""
        self.perform(deed, lambda args: self._scripts.run("append_audit", now, deed.target, *also, *args))

    def head(self) -> Head:
        """Return the stored head; raises LedgerError if it cannot be read."""
        return _head(self.redis.get(HEAD))

    def entries(self, *, before: int | None = None, limit: int = 100, target: str | None = None) -> list[Entry]:
        """Return the newest entries, newest first: those with a number below `before`, those about `target`.

        Of one target, the last 1,000 entries are found, until 90 days after the last one. Entries that cannot be read
        are left out; `verify` finds them.
        """
        if target is not None:
            return self._about(target, before, limit)
        count = self.redis.llen(AUDIT)
        end = count if before is None else min(before - 1, count)
        raw = self.redis.lrange(AUDIT, max(end - limit, 0), end - 1) if end > 0 else []
        return list(_readable(reversed(raw)))

    def verify(self, *, last: int | None = None, logged: Iterable[Head] = ()) -> Verification:
        """Check the chain up to the entry that is the last one now: all of it, or the `last` entries.

        `logged` are heads from a log: they find a log that was rewritten as a whole, or cut off at its end.
        """
        raw_head, count = self._head_and_count()
        first = 0 if last is None else max(count - last, 0)
        start = self._head_of_entry(first) if first else None
        try:
            stored = _read_head(raw_head)
        except ValueError as error:
            return Verification(0, Head(), count, f"the stored head, {HEAD}, is unreadable: {error}")
        return verify_chain(self._texts(first, count), start=start, stored=stored, logged=logged)

    def export(self) -> Iterator[str]:
        """Yield the text of each entry, oldest first; the hash of one line stands in the next one."""
        return self._texts(0, self.redis.llen(AUDIT))

    def _about(self, target: str, before: int | None, limit: int) -> list[Entry]:
        numbers = [int(raw) for raw in self.redis.lrange(f"nightly:audited:{target}", 0, -1)]
        chosen = [number for number in reversed(numbers) if before is None or number < before][:limit]
        with self.redis.pipeline(transaction=False) as pipeline:
            for number in chosen:
                pipeline.lindex(AUDIT, number - 1)
            return list(_readable(raw for raw in pipeline.execute() if raw is not None))

    def _texts(self, start: int, end: int) -> Iterator[str]:
        for at in range(start, end, PAGE):
            for raw in self.redis.lrange(AUDIT, at, min(at + PAGE, end) - 1):
                yield _text(raw)

    def _head_of_entry(self, number: int) -> Head:
        return Head(number, hash_of(_text(self.redis.lindex(AUDIT, number - 1) or b"")))

    def _head_and_time(self) -> tuple[Head, int]:
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.get(HEAD)
            pipeline.time()
            raw, (seconds, micros) = pipeline.execute()
        return _head(raw), self._now_ms() if self._now_ms else int(seconds) * 1000 + int(micros) // 1000

    def _head_and_count(self) -> tuple[bytes | None, int]:
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.get(HEAD)
            pipeline.llen(AUDIT)
            raw, count = pipeline.execute()
        return raw, int(count)

    def _log_if_moved(self, before: Head) -> None:
        head = self.head()
        if head != before:
            log_head(head)


def log_head(head: Head) -> None:
    """Log the end of the chain: it vouches for all entries so far, and lies outside of Redis."""
    log.info("audit_head", number=head.number, hash=head.grouped)


def _head(raw: bytes | None) -> Head:
    try:
        return _read_head(raw)
    except ValueError as error:
        raise LedgerError(
            f"{HEAD} is unreadable ({error}), so no change can be recorded. Nothing was done; see docs/audit.md."
        ) from None


def _read_head(raw: bytes | None) -> Head:
    return Head.read(raw.decode("ascii", "replace")) if raw else Head()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _readable(raw: Iterable[bytes]) -> Iterator[Entry]:
    for each in raw:
        with suppress(ValueError, TypeError, RecursionError):
            yield Entry.read(_text(each))
