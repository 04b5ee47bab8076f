"""Judges the rejected messages that a bulk job replays, for the feeder that decides their rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.backfill.job_feeder import Decide
from worker.errors import InvalidAction, SealError, UnknownKey, UnknownLetter
from worker.intake.accept import Intake
from worker.ledger import Ledger, Letters, Recorded, Wish
from worker.ledger.letter_changes import WISHES_AT_MOST
from worker.operations.rejected_messages import judge_body, open_body
from worker.vault.vault import Vault


class _NotDecided(Exception):
    """The row was not decided by accepting its message, so no event is logged."""


@dataclass(frozen=True, slots=True)
class MessageRows:
    """Judges kept messages. `is_key_held`: whether a live worker holds a key that this process lacks."""

    ledger: Ledger
    letters: Letters
    vault: Vault
    intake: Intake
    is_key_held: Callable[[str], bool]

    def __call__(self, letter_id: str, decide: Decide) -> bool:
        """Judge the message of a letter and decide its row; False leaves it to a worker that can open it.

        Raises redis.RedisError, LedgerMismatch and NotReplicated.
        """
        try:
            body = open_body(self.letters, self.vault, self.letters.get(letter_id))
        except UnknownKey as error:
            if self.is_key_held(error.key_id):
                return False
            decide("failed", "unknown_key", [])
        except SealError:
            decide("failed", "unreadable", [])
        except (UnknownLetter, InvalidAction):  # closed meanwhile, which the script that decides it finds; or not kept
            decide("failed", "not_kept", [])
        else:
            self._judge(body, decide)
        return True

    def _judge(self, body: bytes, decide: Decide) -> None:
        judged = judge_body(self.intake, body)
        if not judged.wishes:
            code = judged.invalid[0].error.code if judged.invalid else "empty"
            decide("invalid", code, [])
            return
        self.intake.reject(judged.invalid)

        def write(wishes: Sequence[Wish]) -> Sequence[Recorded]:
            first, last = wishes[:-WISHES_AT_MOST], wishes[-WISHES_AT_MOST:]
            before = self.ledger.record(first, replicas=self.intake.replicas)
            recorded = decide("accepted", "", last)
            if not recorded:
                raise _NotDecided
            return [*before, *recorded]

        try:
            self.intake.record(judged.wishes, write)
        except _NotDecided:
            return
