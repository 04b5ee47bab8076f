"""A slice of a worker with a slot to spare waits for work in Redis, and a wake-up starts the next claim at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.reconciler.slices import BOUNDS, Slice, instance_of, when
from worker.reconciler import dispatcher, reconciler
from worker.reconciler.dispatcher import Parts
from worker.reconciler.reconciler import run_slice

SLICE_SECONDS = 1.0


@pytest.fixture(autouse=True)
def long_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only a wake-up, or the end of the slice, start another claim."""
    monkeypatch.setattr(dispatcher, "BLOCK_SECONDS", 60)


@pytest.fixture
def staying(piece: Slice) -> Parts:
    piece.bounds = replace(BOUNDS, slice_seconds=SLICE_SECONDS)
    return replace(piece.parts(), stays=True)


@pytest.fixture
def soon() -> Iterator[Callable[..., Any]]:
    """Call a function in a thread while the slice runs."""
    timers: list[threading.Timer] = []

    def soon(call: Callable[[], object], seconds: float = 0.1) -> None:
        timers.append(threading.Timer(seconds, call))
        timers[-1].start()

    yield soon
    for timer in timers:
        timer.join()


def run(parts: Parts, *names: str) -> tuple[bool, float]:
    """Run a slice; returns whether its time was up, and the seconds that it took."""
    began = time.monotonic()
    instances = [(instance_of(name), "fp") for name in names or ("toolbox",)]
    return asyncio.run(run_slice(parts, instances)), time.monotonic() - began


def test_a_slice_stays_until_its_time_is_up_and_hardly_looks(piece: Slice, staying: Parts) -> None:
    was_up, seconds = run(staying, "toolbox", "eu")
    assert was_up
    assert SLICE_SECONDS <= seconds < SLICE_SECONDS + 0.5
    assert max(piece.ledger.asked.values()) <= 2


def test_no_heartbeat_takes_the_slot_again_after_the_slice_has_ended(
    piece: Slice, staying: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "HEARTBEAT_SECONDS", 0.1)
    log: list[str] = []

    def join(*_: str) -> int:
        log.append("asks")
        time.sleep(0.15)  # so that the end of the slice falls into a heartbeat
        log.append("has it")
        return 1

    monkeypatch.setattr(piece.ledger, "join_reconcilers", join)
    run(replace(staying, bounds=replace(BOUNDS, slice_seconds=0.2), hand_over=lambda: log.append("hands over")))
    log.append("ends")
    time.sleep(0.2)
    assert log.index("ends") > max(at for at, line in enumerate(log) if line == "has it")


def test_a_wake_up_starts_a_claim_of_its_instance_alone(piece: Slice, staying: Parts, soon: Any) -> None:
    soon(lambda: (piece.due("a", instance="eu"), piece.ledger.wake_ups["eu"].set()))
    run(staying, "toolbox", "eu")
    assert piece.outcomes() == {"a": "applied"}
    assert piece.ledger.asked["toolbox"] <= 2


def test_an_event_is_called_while_a_call_is_in_flight(piece: Slice, staying: Parts, soon: Any) -> None:
    piece.due("slow")
    piece.caller.answer = lambda login: when(lambda: login != "slow" or "lgn_new" in piece.ledger.settled)
    soon(lambda: piece.due("new"))
    run(staying)
    assert list(piece.outcomes()) == ["new", "slow"]


def test_a_login_that_falls_due_is_called_without_a_wake_up(piece: Slice, staying: Parts, soon: Any) -> None:
    piece.ledger.wait_seconds["toolbox"] = 0.2
    soon(lambda: (piece.due("later"), piece.ledger.wait_seconds.clear()))
    run(staying)
    assert piece.outcomes() == {"later": "applied"}


@pytest.mark.parametrize("state", ["closed", "paused", "canary", "newer", "foreign"])
def test_a_slice_does_not_stay_where_an_instance_may_not_be_called(
    piece: Slice, staying: Parts, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BLOCK_SECONDS", 0.05)
    piece.ledger.states["eu"] = state
    was_up, seconds = run(staying, "toolbox", "eu")
    assert not was_up
    assert seconds < SLICE_SECONDS / 2


def test_a_waiting_slice_ends_soon_after_the_worker_stops(
    staying: Parts, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "BLOCK_SECONDS", 0.05)
    stopping = threading.Event()
    soon(stopping.set)
    was_up, seconds = run(replace(staying, is_stopping=stopping.is_set), "toolbox", "eu")
    assert not was_up
    assert seconds < SLICE_SECONDS / 2


def test_a_slice_goes_on_waiting_when_redis_was_unreachable(piece: Slice, staying: Parts, soon: Any) -> None:
    piece.ledger.failures["wait"] = 3
    soon(lambda: (piece.due("a"), piece.ledger.wake_ups["toolbox"].set()))
    run(staying)
    assert piece.outcomes() == {"a": "applied"}


def test_without_a_slot_to_spare_nothing_waits(piece: Slice) -> None:
    was_up, _ = run(piece.parts())
    assert not was_up
    assert not piece.ledger.waits
