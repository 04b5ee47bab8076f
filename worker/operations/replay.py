"""Replays and resolves dead letters for the command line (`nightly dead-letters`).

A replay never repeats an old call. For a login's dead letter, the login becomes due with its *newest* wish. For a
rejected message, intake accepts the message again; the event's own time still decides the order.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from worker.errors import LetterClosed, NightlyError
from worker.intake.accept import Intake, body_context
from worker.intake.messages import CeleryMessage
from worker.ledger import Letters
from worker.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Closed:
    """The result for one letter: replayed, resolved, superseded, already_closed, still_invalid, or failed."""

    letter_id: str
    outcome: str
    detail: str = ""


class DeadLetters:
    """Closes dead letters by replay or resolution.

    `read_message` decodes a kept queue message to a Celery message, or to a body of CloudEvents.
    """

    def __init__(
        self,
        letters: Letters,
        vault: Vault,
        intake: Intake,
        *,
        read_message: Callable[[bytes], CeleryMessage | bytes] = lambda body: body,
    ) -> None:
        self._letters = letters
        self._vault = vault
        self._intake = intake
        self._read_message = read_message

    def replay(self, letter_ids: Iterable[str], *, by: str) -> Iterator[Closed]:
        """Replay letters one by one; one that fails does not stop the others."""
        for letter_id in letter_ids:
            yield self._guarded(self._replay, letter_id, by)

    def resolve(self, letter_ids: Iterable[str], *, by: str, note: str) -> Iterator[Closed]:
        """Close letters without a call; the note says why."""
        for letter_id in letter_ids:
            yield self._guarded(self._resolve, letter_id, by, note)

    def _replay(self, letter_id: str, by: str) -> Closed:
        letter = self._letters.get(letter_id)
        if letter.status != "open":
            raise LetterClosed(f"dead letter {letter_id} is already closed")
        if letter.kind == "message":
            # Accept first, then close: a crash in between leaves an open letter, but loses no event.
            sealed = self._letters.body(letter_id)
            if not sealed:
                return Closed(letter_id, "failed", letter.reason)
            if not self._accept(letter.source, self._vault.open(body_context(letter_id), sealed)):
                return Closed(letter_id, "still_invalid", self._letters.get(letter_id).reason)
        return Closed(letter_id, self._letters.close(letter_id, "replayed", by=by))

    def _accept(self, source: str, body: bytes) -> bool:
        message = self._read_message(body) if source == "queue" else body
        if isinstance(message, CeleryMessage):
            return self._intake.accept_messages([message])
        return self._intake.accept_again(source, message)

    def _resolve(self, letter_id: str, by: str, note: str) -> Closed:
        return Closed(letter_id, self._letters.close(letter_id, "resolved", by=by, note=note))

    @staticmethod
    def _guarded(act: Callable[..., Closed], letter_id: str, *args: str) -> Closed:
        try:
            return act(letter_id, *args)
        except LetterClosed as error:
            return Closed(letter_id, "already_closed", str(error))
        except NightlyError as error:
            return Closed(letter_id, "failed", str(error))
