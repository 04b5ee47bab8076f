"""While Redis is unavailable no login is lost, settled twice, or held beyond its lease."""

import time
from dataclasses import replace

from tests.unit.reconciler.slices import BOUNDS, Slice


def test_while_redis_is_unavailable_claiming_is_retried_and_no_login_is_lost(piece: Slice) -> None:
    piece.due(*map(str, range(20)))
    piece.ledger.failures["claim"] = 3
    assert piece.run() is False
    assert len(piece.outcomes()) == 20


def test_while_redis_is_unavailable_outcomes_wait_and_each_is_settled_once(piece: Slice) -> None:
    piece.due(*map(str, range(20)))
    piece.ledger.failures["settle"] = 4
    assert piece.run() is False
    assert len(piece.outcomes()) == len(piece.caller.called) == 20


def test_when_redis_stays_unavailable_the_slice_ends_with_the_leases(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=0.02, lease_seconds=0.1, call_seconds=0.05)
    piece.due("a")
    piece.ledger.failures["settle"] = 10_000
    began_at = time.monotonic()
    assert piece.run() is True
    assert 0.11 < time.monotonic() - began_at < 1
    assert not piece.ledger.batches
