"""The number of logins that one script settles and claims: many where the processor is the limit, else fewer."""

import asyncio
from dataclasses import replace

import pytest

from tests.unit.reconciler.slices import APPLIED, BOUNDS, Slice, opened
from worker.reconciler import dispatcher


def test_a_script_settles_and_claims_no_more_than_a_few_dozen(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, max_in_flight=1000, slice_seconds=20, lease_seconds=30, call_seconds=20)
    piece.due(*map(str, range(300)))
    gate = asyncio.Event()
    piece.caller.answer = lambda _: opened(gate) if len(piece.caller.called) < 300 else gate.set() or APPLIED
    piece.run()
    assert len(piece.outcomes()) == 300
    assert max(map(len, piece.ledger.batches)) == dispatcher.SETTLE_AT_MOST
    assert piece.ledger.asked["toolbox"] >= 300 / dispatcher.CLAIM_AT_MOST


@pytest.mark.parametrize(
    ("window", "claimed"),
    [(2 * dispatcher.CLAIM_AT_MOST, dispatcher.CLAIM_AT_MOST), (100, dispatcher.CLAIM_AT_MOST // 2), (8, 8)],
)
def test_the_size_of_a_claim_follows_the_free_places_in_the_window(piece: Slice, window: int, claimed: int) -> None:
    piece.bounds = replace(BOUNDS, max_in_flight=window)
    piece.due(*map(str, range(window)))
    piece.run()
    assert piece.ledger.wanted[0] == claimed
