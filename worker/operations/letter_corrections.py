"""Corrects a dead letter about a login: its wish goes to another login, or becomes the opposite one."""

from dataclasses import dataclass

from worker.errors import InvalidAction, InvalidEvent
from worker.events.contract import check_login_id
from worker.ledger import Lane, Letters, Recorded, Wish
from worker.ledger.audit import Actor
from worker.ledger.dead_letters import Letter
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.queries import Views
from worker.operations.letter_secrets import LetterSecrets
from worker.operations.letter_texts import checked_text
from worker.operations.rejected_messages import FieldReason
from worker.vault.spellings import Spellings


@dataclass(frozen=True, slots=True)
class Done:
    """The result of an action on one letter."""

    letter_id: str
    outcome: str
    """replayed | resolved | corrected | superseded (the login was called or deleted since, and nothing else was done) |
    changed | still_invalid (nothing was done)"""
    reasons: tuple[FieldReason, ...] = ()
    """Why the message is still invalid, by field."""
    corrected_to: str = ""
    """The reference of the login that got the corrected wish."""
    recorded: tuple[Recorded, ...] = ()
    """For each event that was recorded: `superseded` if its login has a newer one, which stays."""


class Corrections:
    """The corrections of letters about logins."""

    def __init__(self, letters: Letters, views: Views, changes: LetterChanges, secrets: LetterSecrets) -> None:
        self._letters = letters
        self._views = views
        self._changes = changes
        self._secrets = secrets

    def correct_login(self, letter: Letter, by: Actor, login_id: str, reason: str, version: int | None) -> Done:
        """Close a letter, and record its wish for the login that was meant."""
        reference = self._reference_of(_about_login(letter), login_id)
        text = checked_text(reason, "reason", secrets=[*self._secrets.known(letter), login_id])
        act = Act(letter.id, by, "correct_login", text, version, {"old": letter.login, "new": reference})
        return self._close(act, self._wish_for(letter, reference, login_id))

    def correct_wish(self, letter: Letter, by: Actor, wish: str, reason: str, version: int | None) -> Done:
        """Close a letter, and record the opposite wish for its login, as an event of now."""
        opposite = {"on": "off", "off": "on"}[_about_login(letter).wish]
        if wish != opposite:
            raise InvalidAction(f"The wish of {letter.id} can only be corrected to {opposite}. Nothing was done.")
        text = checked_text(reason, "reason", secrets=self._secrets.known(letter))
        act = Act(letter.id, by, "correct_wish", text, version, {"old": letter.wish, "new": wish})
        corrected = Wish(
            reference=letter.login,
            instance=letter.instance,
            sealed=self._letters.sealed_login(letter.login),
            occurred_us=max(self._views.now_ms() * 1000, letter.occurred_us + 1),
            wants_active=wish == "on",
            event_id=f"{letter.id}:corrected",
        )
        return self._close(act, corrected)

    def _close(self, act: Act, wish: Wish) -> Done:
        status, results = self._changes.close(act, "corrected", wishes=[wish], corrected_to=wish.reference)
        return Done(act.letter_id, status, corrected_to=wish.reference, recorded=tuple(results))

    def _reference_of(self, letter: Letter, login_id: str) -> str:
        """Return the reference of the login that was meant; raises InvalidAction, never with the loginId."""
        try:
            check_login_id(login_id)
        except InvalidEvent as error:
            rule = error.reason.partition(": ")[2]
            raise InvalidAction(f"The loginId {rule}. Nothing was done.") from None
        reference = self._secrets.vault.reference(letter.instance, login_id)
        if reference == letter.login:
            raise InvalidAction(f"That is the loginId of {letter.id} already. Nothing was done.")
        return reference

    def _wish_for(self, letter: Letter, reference: str, login_id: str) -> Wish:
        """Return the letter's wish for another login; an id that holds the right loginId was not masked so far."""
        vault, login = self._secrets.vault, Spellings(login_id)
        return Wish(
            reference=reference,
            instance=letter.instance,
            sealed=vault.seal_login(reference, login_id),
            occurred_us=letter.occurred_us,
            wants_active=letter.wish == "on",
            event_id=vault.without_login(letter.event_id, login),
            account_id=vault.without_login(letter.account_id, login),
            lane=Lane(letter.lane),
        )


def _about_login(letter: Letter) -> Letter:
    if letter.kind != "login":
        raise InvalidAction(f"{letter.id} is about a rejected message: correct and resubmit it. Nothing was done.")
    return letter
