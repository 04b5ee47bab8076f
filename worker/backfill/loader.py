"""Loads rows into a backfill chunk by chunk, and commits it once it is complete; then its rows can be handed over.

Running the same command again resumes a load that was killed. A keyed hash of all rows up to each chunk's end proves
that the rows loaded before are the same.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.file_rows import Form
from worker.backfill.models import Asks, Backfill, Row
from worker.backfill.store import Backfills
from worker.errors import BackfillError, SameFile, UnreadableFile
from worker.ledger.audit import Actor
from worker.vault.spellings import Spellings
from worker.vault.vault import Vault

END_OF_FORM = b"\0"


@dataclass(frozen=True, slots=True)
class Terms:
    """The options of a backfill. `as_of_us` None means now; a load that is resumed keeps the time of its start."""

    instance: str
    wish: Asks
    by: Actor
    reassert: bool = False
    as_of_us: int | None = None
    name: str = "-"
    rate: float | None = None
    quiet: str = ""
    timezone: str = ""
    again: bool = False
    resumable: bool = True
    """Whether the same command yields the same rows in the same order: true for a file, false for `--from-ledger`."""


class Digests:
    """Running keyed hash of rows and terms: equal for equal rows and terms, and it reveals nothing about them."""

    def __init__(self, vault: Vault, *terms: object) -> None:
        self._vault = vault
        self._terms = [str(term) for term in terms]
        self._hash = hashlib.sha256()

    def add(self, rows: Iterable[Row]) -> str:
        """Add rows; returns the hash of all rows added up to now."""
        for row in rows:
            text = f"{row.line}\0{row.login_id}\0{row.account_id}\0{row.wants_active}\0{row.problem}\n"
            self._hash.update(text.encode("utf-8", "surrogatepass"))
            if row.raw:
                self._hash.update(row.raw)
        return self.so_far()

    def so_far(self) -> str:
        """Return the hash of all rows added up to now."""
        return self._vault.fingerprint("backfill", *self._terms, self._hash.hexdigest())


class Loading:
    """Loads one backfill."""

    def __init__(self, backfills: Backfills, vault: Vault, *, on_rows: Callable[[int], None] = lambda _: None) -> None:
        self._backfills = backfills
        self._vault = vault
        self._on_rows = on_rows

    def load(self, rows: Iterable[Row], form: Form, terms: Terms, *, now_us: int) -> Backfill:
        """Load all rows and commit; returns the backfill.

        Raises UnreadableFile, SameFile and BackfillError. After the first two, what was loaded is deleted.
        """
        chunks = self._chunks(rows, form)
        digests = Digests(self._vault, terms.instance, terms.wish, terms.reassert)
        first = next(chunks, None)
        if first is None:
            raise BackfillError("there is no row to load")
        backfill = self._create_or_resume(first, terms, now_us)
        try:
            self._put_chunks(backfill, first[0], chain([first], chunks), digests)
            return self._backfills.commit(
                backfill.id, digests.so_far(), by=terms.by, again=terms.again, only_loaded=True
            )
        except (UnreadableFile, SameFile):
            self._backfills.forget(backfill.id)
            raise

    def _create_or_resume(self, first: list[Row], terms: Terms, now_us: int) -> Backfill:
        options = (terms.as_of_us, terms.rate, terms.quiet, terms.timezone, terms.name)
        first_digest = Digests(self._vault, terms.instance, terms.wish, terms.reassert, *options).add(first)
        backfill = self._backfills.find_loading(first_digest) if terms.resumable else None
        if backfill is not None:
            return backfill
        return self._backfills.create(
            instance=terms.instance,
            wish=terms.wish,
            reassert=terms.reassert,
            as_of_us=now_us if terms.as_of_us is None else terms.as_of_us,
            name=terms.name,
            by=terms.by.name,
            rate=terms.rate,
            quiet=terms.quiet,
            timezone=terms.timezone,
            first_digest=first_digest if terms.resumable else "",
        )

    def _put_chunks(self, backfill: Backfill, first: Row, chunks: Iterator[list[Row]], digests: Digests) -> None:
        count, valid, number, digest = 0, 0, -1, ""
        for number, chunk in enumerate(chunks):
            before, digest = digest, digests.add(chunk)
            if number == backfill.chunks - 1 and digest != backfill.digest_so_far:
                raise _changed(backfill)
            if number >= backfill.chunks:
                self._backfills.put_chunk(backfill.id, number, chunk, digest, digest_before=before)
            count += len(chunk)
            valid += sum(not row.problem for row in chunk)
            self._on_rows(count)
        if number + 1 < backfill.chunks:
            raise _changed(backfill)
        if not valid:
            self._backfills.forget(backfill.id)
            raise BackfillError(f"none of the {count:,} rows is valid; line {first.line}: {first.problem}")

    def _chunks(self, rows: Iterable[Row], form: Form | None) -> Iterator[list[Row]]:
        masked = (_without_login(row, self._vault) for row in rows)
        while chunk := list(islice(masked, ROWS_IN_CHUNK)):
            if form is not None:
                chunk[0] = replace(chunk[0], raw=form.to_text().encode() + END_OF_FORM + chunk[0].raw)
                form = None
            yield chunk


def form_of(first: Row) -> Form:
    """Return the form of the file that a backfill was loaded from; its first row's `raw` begins with it."""
    return Form.from_text(first.raw.partition(END_OF_FORM)[0].decode())


def line_of(row: Row) -> bytes:
    """Return an invalid row's own line, as far as it was kept, without the form that may precede it."""
    head, mark, tail = row.raw.partition(END_OF_FORM)
    return tail if mark and head.startswith(b"[") else row.raw


def _without_login(row: Row, vault: Vault) -> Row:
    if row.account_id is None:
        return row
    account = vault.without_login(row.account_id, Spellings(row.login_id))
    return row if account is row.account_id else replace(row, account_id=account)


def _changed(backfill: Backfill) -> BackfillError:
    return BackfillError(
        f"backfill {backfill.id} began to load from this file, but the file has changed since. "
        f"Abandon it with: nightly backfill cancel {backfill.id}"
    )
