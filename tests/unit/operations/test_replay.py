"""A replay never sends an old payload, and one failed replay does not stop the others."""

from collections.abc import Sequence
from typing import Any

from worker.errors import LetterClosed, UnknownLetter
from worker.intake.accept import body_context
from worker.intake.messages import CeleryMessage
from worker.ledger.dead_letters import Letter
from worker.operations.replay import Closed, DeadLetters
from worker.vault.vault import Vault

LOGIN_LETTER = Letter("dl-1", "login", "open", "INVALID_LOGIN", 1, 1, login="lgn_a")


def message_letter(letter_id: str, body: bytes, **changes: Any) -> tuple[Letter, bytes]:
    fields: dict[str, Any] = {"source": "stream", "body_bytes": len(body), "reason": "event: must be an object"}
    return Letter(letter_id, "message", "open", "invalid_event", 1, 1, **(fields | changes)), body


class FakeLetters:
    """Dead letters by id; closing a closed one raises, as in the ledger."""

    def __init__(self, *letters: Letter) -> None:
        self.all = {letter.id: letter for letter in letters}
        self.bodies: dict[str, bytes] = {}
        self.closed: list[tuple[str, str, str, str]] = []

    def get(self, letter_id: str) -> Letter:
        if letter_id not in self.all:
            raise UnknownLetter(f"there is no dead letter {letter_id!r}")
        return self.all[letter_id]

    def body(self, letter_id: str) -> bytes:
        return self.bodies.get(letter_id, b"")

    def close(self, letter_id: str, status: str, *, by: str, note: str = "") -> str:
        if self.get(letter_id).status != "open" or letter_id in {item[0] for item in self.closed}:
            raise LetterClosed(f"dead letter {letter_id} is closed already")
        self.closed.append((letter_id, status, by, note))
        return status


class FakeIntake:
    """Accepts the body `good`; records its input, and how many dead letters were closed by then."""

    def __init__(self, letters: FakeLetters) -> None:
        self.letters = letters
        self.given: list[tuple[str, bytes, int]] = []

    def accept_again(self, source: str, body: bytes) -> bool:
        self.given.append((source, body, len(self.letters.closed)))
        return body.startswith(b"good")

    def accept_messages(self, messages: Sequence[CeleryMessage]) -> bool:
        (message,) = messages
        self.given.append(("celery", message.type.encode(), len(self.letters.closed)))
        return True


class Review:
    """A review list of dead letters; a dead letter of a message comes with its body."""

    def __init__(self, vault: Vault, *letters: Letter | tuple[Letter, bytes]) -> None:
        pairs = [each if isinstance(each, tuple) else (each, None) for each in letters]
        self.letters = FakeLetters(*(letter for letter, _ in pairs))
        self.letters.bodies = {
            letter.id: vault.seal(body_context(letter.id), body) for letter, body in pairs if body is not None
        }
        self.intake = FakeIntake(self.letters)
        parts: Any = self.letters, vault, self.intake
        self.list = DeadLetters(*parts, read_message=self._read)

    @staticmethod
    def _read(body: bytes) -> CeleryMessage | bytes:
        return CeleryMessage("account.linked", [], {}, "task-1") if body == b"celery" else body

    def replay(self, *letter_ids: str) -> list[Closed]:
        return list(self.list.replay(letter_ids, by="ann"))


def test_a_dead_letter_of_a_login_is_replayed_by_the_ledger_alone(vault: Vault) -> None:
    review = Review(vault, LOGIN_LETTER)
    assert review.replay("dl-1") == [Closed("dl-1", "replayed")]
    assert review.letters.closed == [("dl-1", "replayed", "ann", "")]
    assert not review.intake.given


def test_a_message_is_replayed_unchanged_and_then_closed(vault: Vault) -> None:
    review = Review(vault, message_letter("iv-1", b"good", source="celery"))
    assert review.replay("iv-1") == [Closed("iv-1", "replayed")]
    assert review.intake.given == [("celery", b"good", 0)]


def test_a_message_that_is_still_invalid_stays_open_and_says_why(vault: Vault) -> None:
    review = Review(vault, message_letter("iv-1", b"bad"))
    assert review.replay("iv-1") == [Closed("iv-1", "still_invalid", "event: must be an object")]
    assert not review.letters.closed


def test_a_kept_celery_message_is_decoded_before_its_replay(vault: Vault) -> None:
    review = Review(vault, message_letter("iv-1", b"celery", source="queue"))
    assert review.replay("iv-1") == [Closed("iv-1", "replayed")]
    assert review.intake.given == [("celery", b"account.linked", 0)]


def test_a_message_whose_body_is_stored_elsewhere_is_not_replayed_and_names_the_place(vault: Vault) -> None:
    letter, _ = message_letter("iv-1", b"", reason="body: it is kept under a key")
    review = Review(vault, letter)
    assert review.replay("iv-1") == [Closed("iv-1", "failed", "body: it is kept under a key")]
    assert not review.letters.closed


def test_a_message_sealed_under_a_key_that_is_gone_fails_and_stays_open(vault: Vault) -> None:
    review = Review(vault, message_letter("iv-1", b"good"))
    review.letters.bodies["iv-1"] = Vault([bytes(32)]).seal(body_context("iv-1"), b"good")
    (closed,) = review.replay("iv-1")
    assert closed.outcome == "failed"
    assert closed.detail == f"sealed under key {Vault([bytes(32)]).key_ids[0]}, which LOGIN_KEYS does not hold"
    assert not review.letters.closed


def test_a_body_swapped_between_dead_letters_is_not_replayed(vault: Vault) -> None:
    review = Review(vault, message_letter("iv-1", b"good"), message_letter("iv-2", b"other"))
    review.letters.bodies["iv-1"] = review.letters.bodies["iv-2"]
    (closed,) = review.replay("iv-1")
    assert (closed.outcome, review.intake.given) == ("failed", [])
    assert "belong to another" in closed.detail


def test_a_closed_dead_letter_is_not_replayed_again(vault: Vault) -> None:
    review = Review(vault, Letter("iv-1", "message", "replayed", "invalid_event", 1, 1))
    assert [item.outcome for item in review.replay("iv-1")] == ["already_closed"]
    assert not review.intake.given


def test_one_failed_replay_does_not_stop_the_others(vault: Vault) -> None:
    review = Review(vault, LOGIN_LETTER, message_letter("iv-1", b"bad"), message_letter("iv-2", b"good"))
    outcomes = [item.outcome for item in review.replay("none", "iv-1", "dl-1", "dl-1", "iv-2")]
    assert outcomes == ["failed", "still_invalid", "replayed", "already_closed", "replayed"]


def test_dead_letters_are_replayed_one_at_a_time(vault: Vault) -> None:
    review = Review(vault, LOGIN_LETTER, message_letter("iv-2", b"good"))
    next(review.list.replay(iter(["dl-1", "iv-2"]), by="ann"))
    assert [item[0] for item in review.letters.closed] == ["dl-1"]


def test_a_dead_letter_is_resolved_with_its_note_and_without_a_call(vault: Vault) -> None:
    review = Review(vault, LOGIN_LETTER)
    outcomes = [item.outcome for item in review.list.resolve(["dl-1", "dl-1", "none"], by="ann", note="card deleted")]
    assert outcomes == ["resolved", "already_closed", "failed"]
    assert review.letters.closed == [("dl-1", "resolved", "ann", "card deleted")]
    assert not review.intake.given
