"""The two halves of `Ledger.settle_and_claim`, for tests that need one of them."""

from collections.abc import Sequence
from typing import Any

from worker.ledger import ClaimReply, Ledger, Settled, Settlement


def claim(ledger: Ledger, instance: str, **terms: Any) -> ClaimReply:
    """Claim only."""
    return ledger.settle_and_claim(instance, [], **terms)[1]


def settle(ledger: Ledger, instance: str, settlements: Sequence[Settlement], **terms: Any) -> list[Settled]:
    """Settle only."""
    unused = {"lease_seconds": 1, "settle_seconds": 0, "max_in_flight": 1}
    return ledger.settle_and_claim(instance, settlements, at_most=0, **{"worker": ""} | terms | unused)[0]
