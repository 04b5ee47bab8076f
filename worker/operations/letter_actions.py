"""What a person may do about one dead letter, for the page, the API and the commands.

Each action takes the person, `by`, and the `version` of the letter that the person saw (None: any). It is one entry of
the audit log. It raises UnknownLetter, OutOfDate (LetterClosed if the letter is closed), InvalidAction, NeedsLoginKeys,
SealError or AuditBusy, each with a sentence that says what is wrong; nothing was done then.
"""

from collections.abc import Callable, Sequence

from worker.errors import InvalidAction
from worker.intake.accept import Intake
from worker.ledger import Ledger, Letters
from worker.ledger.audit import Actor, Deed
from worker.ledger.dead_letters import Letter
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.queries import Views
from worker.operations.letter_corrections import Corrections, Done
from worker.operations.letter_preview import Preview, preview_of_closed, preview_of_login
from worker.operations.letter_secrets import LetterSecrets
from worker.operations.letter_texts import NOTE_AT_MOST, OWNER_AT_MOST, checked_text
from worker.operations.masked_body import MaskedBody
from worker.operations.message_actions import MessageActions
from worker.operations.rejected_messages import FieldReason, reasons_of
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

NOTHING_LEFT = "Nothing left to switch off: Flinks has no such login."
DAY_MS = 86_400_000
SNOOZE_AT_MOST_DAYS = 366


class LetterActions:
    """The actions on one letter. Without `vault` and `intake`, those that need a loginId raise NeedsLoginKeys."""

    def __init__(
        self,
        client: BytesRedis,
        *,
        vault: Vault | None = None,
        intake: Intake | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._letters = Letters(client, now_ms=now_ms)
        self._views = Views(client, now_ms=now_ms)
        self._changes = LetterChanges(client, now_ms=now_ms)
        self._secrets = LetterSecrets(self._letters, vault)
        self._corrections = Corrections(self._letters, self._views, self._changes, self._secrets)
        self._messages = MessageActions(Ledger(client, now_ms=now_ms), self._changes, self._secrets, intake)

    def now_ms(self) -> int:
        """Return Redis' clock."""
        return self._views.now_ms()

    def preview(self, letter_id: str) -> Preview:
        """Return what a replay would do now; raises UnknownLetter."""
        letter = self._letters.get(letter_id)
        if letter.status != "open":
            return preview_of_closed(letter)
        if letter.kind == "message":
            return self._messages.preview(letter)
        now_ms, gate = self._views.now_ms(), self._views.gate(letter.instance)
        paused_ms = self._views.paused_until(letter.instance) - now_ms
        return preview_of_login(letter, self._views.login(letter.login), gate, paused_ms=paused_ms, now_ms=now_ms)

    def masked_body(self, letter_id: str) -> MaskedBody:
        """Return the body of an open letter's rejected message as a text that may be shown and edited."""
        return self._messages.masked_body(self._letters.get(letter_id))

    def reasons(self, letter: Letter) -> Sequence[FieldReason]:
        """Return why a message was rejected, by field; empty for a letter about a login."""
        return reasons_of(letter.reason) if letter.kind == "message" else []

    def replay(self, letter_id: str, *, by: Actor, version: int | None = None, note: str = "") -> Done:
        """Assert the newest wish of the login again, or accept a rejected message again, unchanged."""
        letter = self._seen(letter_id, version)
        act = Act(letter_id, by, "replay", self._text(letter, note, "note", may_be_empty=True), version)
        if letter.kind == "message":
            return self._messages.replay(letter, act)
        status, _ = self._changes.close(act, "replayed")
        return Done(letter_id, status)

    def resolve(self, letter_id: str, *, by: Actor, note: str, version: int | None = None) -> Done:
        """Close a letter without another call; the note says why."""
        letter = self._seen(letter_id, version)
        act = Act(letter_id, by, "resolve", self._text(letter, note, "note"), version)
        status, _ = self._changes.close(act, "resolved")
        return Done(letter_id, status)

    def nothing_left(self, letter_id: str, *, by: Actor, version: int | None = None, note: str = "") -> Done:
        """Resolve a deactivation of a login that Flinks does not have (any more)."""
        letter = self._seen(letter_id, version)
        if (letter.kind, letter.code, letter.wish) != ("login", "INVALID_LOGIN", "off"):
            raise InvalidAction(f"{letter_id} is not INVALID_LOGIN with the wish off. Nothing was done.")
        text = f"{NOTHING_LEFT} {self._text(letter, note, 'note', may_be_empty=True)}".strip()
        status, _ = self._changes.close(Act(letter_id, by, "nothing_left", text, version), "resolved")
        return Done(letter_id, status)

    def correct_login(
        self, letter_id: str, *, by: Actor, login_id: str, reason: str, version: int | None = None
    ) -> Done:
        """Give the wish to the login that was meant, and close the letter of the wrong one.

        If the right login has a newer wish, that one stays.
        """
        return self._corrections.correct_login(self._seen(letter_id, version), by, login_id, reason, version)

    def correct_wish(self, letter_id: str, *, by: Actor, wish: str, reason: str, version: int | None = None) -> Done:
        """Wish the opposite (`on` or `off`) from now on, and close the letter."""
        return self._corrections.correct_wish(self._seen(letter_id, version), by, wish, reason, version)

    def resubmit(self, letter_id: str, *, by: Actor, body: str, reason: str, version: int | None = None) -> Done:
        """Accept the corrected text of a rejected message; a placeholder of `masked_body` keeps its value.

        If an event of it is invalid, nothing is done, and the result has the reasons.
        """
        letter = self._seen(letter_id, version)
        act = Act(letter_id, by, "resubmit", self._text(letter, reason, "reason"), version)
        return self._messages.resubmit(letter, act, body)

    def assign(self, letter_id: str, *, by: Actor, owner: str, version: int | None = None) -> Done:
        """Give the letter an owner; an empty name takes it away."""
        letter = self._seen(letter_id, version)
        name = self._text(letter, owner, "owner", at_most=OWNER_AT_MOST, may_be_empty=True)
        self._changes.change(Act(letter_id, by, "assign", name, version, {"owner": name}), "owner", name)
        return Done(letter_id, "changed")

    def note(self, letter_id: str, *, by: Actor, note: str, version: int | None = None) -> Done:
        """Add a note."""
        letter = self._seen(letter_id, version)
        text = self._text(letter, note, "note")
        self._changes.change(Act(letter_id, by, "note", text, version), "note", text)
        return Done(letter_id, "changed")

    def snooze(self, letter_id: str, *, by: Actor, until_ms: int | None, version: int | None = None) -> Done:
        """Hide the letter from the usual list until then (ms since 1970); None shows it again."""
        self._seen(letter_id, version)
        now_ms = self._views.now_ms()
        if until_ms is not None and not now_ms < until_ms <= now_ms + SNOOZE_AT_MOST_DAYS * DAY_MS:
            raise InvalidAction(f"Snooze until a time in the next {SNOOZE_AT_MOST_DAYS} days. Nothing was done.")
        act = Act(letter_id, by, "snooze", "", version, {"until": until_ms})
        self._changes.change(act, "snoozed_until", until_ms or 0)
        return Done(letter_id, "changed")

    def reveal(self, letter_id: str, *, by: Actor, reason: str) -> str:
        """Return the loginId, once the audit log has the reveal. Works for closed letters, too."""
        letter = self._letters.get(letter_id)
        login_id = self._secrets.login_id(letter)
        text = checked_text(reason, "reason", secrets=[login_id])
        deed = Deed(by, "letter.reveal", letter_id, text, {"login": letter.login})
        self._changes.audit.append(deed, also=[letter.login] if letter.login else [])
        return login_id

    def login_id_of_revealed(self, letter_id: str) -> str:
        """Return the loginId for the page that follows a reveal, which has noted it in the audit log already."""
        return self._secrets.login_id(self._letters.get(letter_id))

    def _seen(self, letter_id: str, version: int | None) -> Letter:
        """Return an open letter of that version; the script that changes it checks both again."""
        letter = self._letters.get(letter_id)
        self._changes.check_seen(letter, version)
        return letter

    def _text(
        self, letter: Letter, text: str, name: str, *, at_most: int = NOTE_AT_MOST, may_be_empty: bool = False
    ) -> str:
        secrets = self._secrets.known(letter)
        return checked_text(text, name, secrets=secrets, at_most=at_most, may_be_empty=may_be_empty)
