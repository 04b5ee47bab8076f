"""Replays a rejected message, or resubmits its corrected body. Its events are recorded as its letter is closed."""

from collections.abc import Sequence
from dataclasses import replace

from worker.errors import InvalidAction, NeedsLoginKeys, NotReplicated, SealError
from worker.intake.accept import Intake
from worker.ledger import Ledger, Recorded, Wish
from worker.ledger.dead_letters import Letter
from worker.ledger.letter_changes import WISHES_AT_MOST, Act, Ending, LetterChanges
from worker.operations.letter_corrections import Done
from worker.operations.letter_preview import Preview, Would, preview_of_message, preview_of_unreadable
from worker.operations.letter_secrets import LetterSecrets, logins_named_in
from worker.operations.letter_texts import checked_text
from worker.operations.masked_body import MaskedBody, mask_body
from worker.operations.rejected_messages import Judged, judge_body
from worker.vault.vault import Vault

LOOK = "Look at the letter again, and replay it if it is open then."


class MessageActions:
    """The actions on letters about rejected messages."""

    def __init__(self, ledger: Ledger, changes: LetterChanges, secrets: LetterSecrets, intake: Intake | None) -> None:
        self._ledger = ledger
        self._changes = changes
        self._secrets = secrets
        self._given_intake = intake

    @property
    def _intake(self) -> Intake:
        if self._given_intake is None:
            raise NeedsLoginKeys("This needs LOGIN_KEYS, which this process does not have. Nothing was done.")
        return self._given_intake

    def preview(self, letter: Letter) -> Preview:
        """Return what a replay of an open letter would do now."""
        try:
            return preview_of_message(letter, judge_body(self._intake, self._secrets.body(letter)))
        except NeedsLoginKeys as error:
            return preview_of_unreadable(letter, Would.NEEDS_LOGIN_KEYS, str(error))
        except (InvalidAction, SealError) as error:
            return preview_of_unreadable(letter, Would.NOT_KEPT, str(error))

    def masked_body(self, letter: Letter) -> MaskedBody:
        """Return the body as a text that may be shown and edited."""
        return mask_body(self._secrets.body(letter), self._secrets.vault)

    def replay(self, letter: Letter, act: Act) -> Done:
        """Accept the message again, unchanged. Of a batch, each event that is still invalid gets a letter of its own.

        If no event is valid, nothing is done.
        """
        judged = judge_body(self._intake, self._secrets.body(letter))
        if not judged.wishes:
            return Done(letter.id, "still_invalid", reasons=tuple(judged.reasons))
        self._intake.reject(judged.invalid)
        return self._accept(act, judged, "replayed")

    def resubmit(self, letter: Letter, act: Act, edited: str) -> Done:
        """Accept an edited body, if all its events are valid."""
        intake, vault, kept = self._intake, self._secrets.vault, self._secrets.body(letter)
        masked = mask_body(kept, vault)
        body = masked.restored(edited)
        judged = judge_body(intake, body)
        if judged.invalid:
            return Done(letter.id, "still_invalid", reasons=tuple(judged.reasons))
        if len(judged.wishes) > WISHES_AT_MOST:
            raise InvalidAction(f"A body of more than {WISHES_AT_MOST} events cannot be resubmitted. Nothing was done.")
        checked_text(act.text, "reason", secrets=logins_named_in(body, vault))
        wishes = [_without_kept(wish, masked, vault) for wish in judged.wishes]
        return self._accept(act, replace(judged, wishes=wishes), "corrected")

    def _accept(self, act: Act, judged: Judged, status: Ending) -> Done:
        """Record the events and close the letter, so that a crash between leaves an open letter but loses no event."""
        done: list[Recorded] = []
        outcome = ""
        meant = judged.wishes[0].reference if status == "corrected" and len(judged.wishes) == 1 else ""

        def write(wishes: Sequence[Wish]) -> Sequence[Recorded]:
            nonlocal outcome
            replicas = self._intake.replicas
            first, last = wishes[:-WISHES_AT_MOST], wishes[-WISHES_AT_MOST:]
            done.extend(self._ledger.record(first, replicas=replicas))
            outcome, results = self._changes.close(act, status, wishes=last, corrected_to=meant, replicas=replicas)
            done.extend(results)
            return done

        try:
            self._intake.record(judged.wishes, write)
        except NotReplicated as error:
            raise NotReplicated(f"{error}: the events are recorded, but a failover may lose them. {LOOK}") from None
        return Done(act.letter_id, outcome, corrected_to=meant, recorded=tuple(done))


def _without_kept(wish: Wish, masked: MaskedBody, vault: Vault) -> Wish:
    """Return a wish whose ids hold no value that the person did not see."""
    account_id = wish.account_id and masked.without_kept(wish.account_id, vault)
    return replace(wish, event_id=masked.without_kept(wish.event_id, vault), account_id=account_id)
