"""What people do to a dead letter, in the ledger: close it, or change a field of it, each with its audit entry.

`version` is the version of the letter that the person saw; None: any. If the letter changed since, or is closed, the
error says what happened, and nothing is done.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.errors import LetterClosed, OutOfDate, UnknownLetter
from worker.ledger.arguments import wish_arguments
from worker.ledger.audit import Actor, AuditArgs, AuditLog, Deed
from worker.ledger.dead_letters import Letter, Letters
from worker.ledger.ledger import RECORD_BATCH
from worker.ledger.models import Recorded, Wish
from worker.ledger.scripts import Scripts
from worker.redis_client.connect import BytesRedis
from worker.words import utc

Ending = Literal["replayed", "resolved", "corrected"]
WISHES_AT_MOST = RECORD_BATCH
"""Wishes that one letter's closing may record, as that is one script."""


@dataclass(frozen=True, slots=True)
class Act:
    """What a person does to one letter. No text of it holds a loginId."""

    letter_id: str
    by: Actor
    verb: str
    """replay, resolve, correct, assign, ...: the audit log has it as `letter.<verb>`."""
    text: str = ""
    """The note or the reason."""
    version: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """For the audit log."""

    @property
    def deed(self) -> Deed:
        """What the audit log records."""
        return Deed(self.by, f"letter.{self.verb}", self.letter_id, self.text, self.detail)


class LetterChanges:
    """Changes of dead letters behind one Redis client."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self.audit = AuditLog(client, now_ms=now_ms)
        self._letters = Letters(client, now_ms=now_ms)
        self._scripts = Scripts(client)
        self._now_ms = now_ms

    def close(
        self,
        act: Act,
        status: Ending,
        *,
        wishes: Sequence[Wish] = (),
        corrected_to: str = "",
        replicas: int = 0,
    ) -> tuple[str, list[Recorded]]:
        """Close a letter, and record `wishes` (at most WISHES_AT_MOST) in the same script.

        Returns the letter's new status and a result for each wish. The status is `superseded` if the login was called
        or deleted since: then nothing else was done. Raises UnknownLetter, LetterClosed, OutOfDate, AuditBusy, and
        NotReplicated if fewer than `replicas` replicas confirmed it.
        """
        args = act.letter_id, status, _version(act), act.by.name, act.verb, act.text, corrected_to
        parts = [part for wish in wishes for part in wish_arguments(wish)]

        def run(audit: AuditArgs) -> Any:
            arguments = self._now(), *args, *parts, *audit
            return self._scripts.run_replicated("close_dead_letter", *arguments, replicas=replicas)

        reply, *results = self.audit.perform(act.deed, run, done=[b"done", *[b"recorded"] * len(wishes)])
        self._check(act, reply)
        if reply == b"done":  # the connection lost the script's reply
            reply = self._letters.get(act.letter_id).status.encode()
        return reply.decode(), [Recorded(result.decode()) for result in results]

    def change(self, act: Act, name: str, value: str | int) -> None:
        """Set `owner` ('': none), `snoozed_until` (0: not snoozed) or `note` of an open letter; raises like `close`."""
        args = act.letter_id, _version(act), act.by.name, act.verb, act.text, name, value

        def run(audit: AuditArgs) -> Any:
            return self._scripts.run("change_letter", self._now(), *args, *audit)

        self._check(act, self.audit.perform(act.deed, run))

    def check_seen(self, letter: Letter, version: int | None) -> None:
        """Check that a letter is open and has the version that the person saw; raises LetterClosed and OutOfDate."""
        if letter.status != "open" or version not in {None, letter.version}:
            raise self._out_of_date(letter)

    def _check(self, act: Act, reply: bytes) -> None:
        if reply == b"missing":
            raise UnknownLetter(f"there is no dead letter {act.letter_id!r}")
        if reply in {b"closed", b"changed"}:
            raise self._out_of_date(self._letters.get(act.letter_id))

    def _out_of_date(self, letter: Letter) -> OutOfDate:
        if letter.status != "open":
            return LetterClosed(closed_sentence(letter))
        entry = next(iter(self.audit.entries(target=letter.id, limit=1)), None)
        happened = "its login, or the reason why it was rejected, is another one now"
        if entry:
            happened = f"the last action was {entry.action.removeprefix('letter.')} by {entry.by}, {utc(entry.at)}"
        return OutOfDate(f"{letter.id} has changed since you looked at it: {happened}. Nothing was done.")

    def _now(self) -> str | int:
        return self._now_ms() if self._now_ms else ""


def closed_sentence(letter: Letter) -> str:
    """Return the sentence that says how a letter was closed, and that nothing was done now."""
    return f"{letter.id} is closed already: {' '.join(_closing(letter))}. Nothing was done."


def _closing(letter: Letter) -> Iterator[str]:
    yield letter.status
    if letter.superseded_by:
        yield f"by the newer event {letter.superseded_by}"
    elif letter.closed_by:
        yield f"by {letter.closed_by}"
    if letter.closed_at:
        yield f"on {utc(letter.closed_at)}"


def _version(act: Act) -> str | int:
    return "" if act.version is None else act.version
