"""Parks messages for the tests of rejected messages."""

from typing import Any

from worker.ledger import Kept, Letters, Message


def message(letter_id: str = "ev-1", **changes: Any) -> Message:
    fields = {"code": "invalid_event", "reason": "body: is not JSON", "source": "stream", "size": 6}
    return Message(letter_id, sealed_body=b"sealed", **(fields | changes))


def park(letters: Letters, **changes: Any) -> bool:
    """Park one message; returns whether its letter is the first of its group."""
    return letters.keep_rejected([message(**changes)]) == [Kept.FIRST]
