"""Gives the message of one open letter to intake again, for a bulk job that replays rejected messages."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.errors import NightlyError, SealError, UnknownKey
from worker.intake.accept import Intake, body_context
from worker.intake.messages import CeleryMessage
from worker.ledger import LEDGER_UNAVAILABLE, Letters
from worker.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepts kept messages again. `read_message` is that of `DeadLetters`; `is_key_held` that of `Backfills`."""

    letters: Letters
    vault: Vault
    intake: Intake
    read_message: Callable[[bytes], CeleryMessage | bytes]
    is_key_held: Callable[[str], bool]

    def __call__(self, letter_id: str) -> tuple[str, str] | None:
        """Return accepted, invalid or failed, and a code; None leaves the message to a worker that can open it.

        Raises redis.RedisError, LedgerMismatch and NotReplicated.
        """
        try:
            return self._accept(letter_id)
        except LEDGER_UNAVAILABLE:
            raise
        except UnknownKey as error:
            return None if self.is_key_held(error.key_id) else ("failed", "unknown_key")
        except SealError:
            return "failed", "unreadable"
        except NightlyError as error:
            return "failed", type(error).__name__

    def _accept(self, letter_id: str) -> tuple[str, str]:
        sealed = self.letters.body(letter_id)
        if not sealed:  # closed meanwhile, which the script that decides it finds, or kept elsewhere
            return "failed", "no_body"
        letter = self.letters.get(letter_id)
        body = self.vault.open(body_context(letter_id), sealed)
        message = self.read_message(body) if letter.source == "queue" else body
        if isinstance(message, CeleryMessage):
            is_accepted = self.intake.accept_messages([message])
        else:
            is_accepted = self.intake.accept_again(letter.source, message)
        return ("accepted", "") if is_accepted else ("invalid", self.letters.get(letter_id).code)
