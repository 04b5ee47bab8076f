"""A slice looks for work as often as needed, ends when there is none, and never spins."""

import asyncio
import threading
import time
from dataclasses import replace

from tests.unit.reconciler.slices import (
    APPLIED,
    BOUNDS,
    LOOK_SECONDS,
    Slice,
    instance_of,
    later,
    when,
)
from worker.flinks.outcome import Verdict
from worker.reconciler.reconciler import run_slice


def test_a_slice_ends_after_it_found_nothing_due_in_every_instance(piece: Slice) -> None:
    assert piece.run("toolbox", "eu") is False
    assert set(piece.ledger.asked) == {"toolbox", "eu"}
    assert max(piece.ledger.asked.values()) <= 2


def test_without_instances_a_slice_has_no_work(piece: Slice) -> None:
    parts = piece.parts()
    assert asyncio.run(run_slice(parts, [])) is False


def test_after_its_time_a_slice_claims_no_more_and_settles_the_calls_in_flight(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=0.05, max_in_flight=2)
    piece.due("a", "b", "c")
    piece.caller.answer = lambda _: later(0.1)
    assert piece.run() is True, "work is left"
    assert piece.outcomes() == {"a": "applied", "b": "applied"}
    assert len(piece.ledger.due["toolbox"]) == 1


def test_after_its_time_a_slice_hands_over_its_slot_before_the_last_call_ends(piece: Slice) -> None:
    handed: list[int] = []
    parts = replace(piece.parts(), hand_over=lambda: handed.append(piece.caller.in_flight))
    parts = replace(parts, bounds=replace(BOUNDS, slice_seconds=0.05))
    piece.due("slow")
    piece.caller.answer = lambda _: when(lambda: bool(handed))
    assert asyncio.run(run_slice(parts, [(instance_of("toolbox"), "fp")])) is True
    assert handed == [1]
    assert piece.outcomes() == {"slow": "applied"}


def test_work_that_falls_due_within_the_second_is_waited_for_and_later_work_is_not(piece: Slice) -> None:
    piece.ledger.wait_seconds["toolbox"] = 0.05
    timer = threading.Timer(0.05, lambda: (piece.due("soon"), piece.ledger.wait_seconds.clear()))
    timer.start()
    assert piece.run() is False
    assert piece.outcomes() == {"soon": "applied"}
    timer.join()

    asked = piece.ledger.asked["toolbox"]
    piece.ledger.wait_seconds["toolbox"] = 60
    assert piece.run() is False
    assert piece.ledger.asked["toolbox"] == asked + 1


def test_an_idle_instance_starts_new_work_while_another_is_busy(piece: Slice) -> None:
    def answer(login: str) -> object:
        if login != "busy":
            return APPLIED
        piece.due("opened", instance="eu")
        return when(lambda: "lgn_opened" in piece.ledger.settled)

    piece.due("busy")
    piece.caller.answer = answer
    assert piece.run("toolbox", "eu") is False
    assert list(piece.outcomes()) == ["opened", "busy"]


def test_a_slow_name_lookup_of_one_instance_delays_no_other(piece: Slice) -> None:
    """Names are looked up in the loop's own threads. Scripts ran there too, and waited behind the lookups."""
    is_found = threading.Event()

    async def look_up() -> Verdict:
        loop = asyncio.get_running_loop()
        lookups = [loop.run_in_executor(None, is_found.wait, 5) for _ in range(40)]
        piece.due("healthy", instance="eu")
        await when(lambda: "lgn_healthy" in piece.ledger.settled or loop.time() > give_up_at)
        held_up.append("lgn_healthy" not in piece.ledger.settled)
        is_found.set()
        await asyncio.gather(*lookups)
        return APPLIED

    held_up: list[bool] = []
    give_up_at = time.monotonic() + 3
    piece.due("slow")
    piece.caller.answer = lambda login: look_up() if login == "slow" else APPLIED
    piece.bounds = replace(BOUNDS, slice_seconds=4)
    piece.run("toolbox", "eu")
    assert held_up == [False]


def test_an_instance_looks_for_work_at_a_bounded_rate(piece: Slice) -> None:
    piece.due("busy")
    piece.caller.answer = lambda _: later(10 * LOOK_SECONDS)
    piece.run("toolbox", "eu")
    assert 3 <= piece.ledger.asked["eu"] <= 14
    assert 3 <= piece.ledger.asked["toolbox"] <= 14


def test_a_full_window_claims_nothing(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, max_in_flight=1)
    piece.due("a", "b")
    piece.caller.answer = lambda _: later(10 * LOOK_SECONDS)
    piece.run()
    assert piece.ledger.asked["toolbox"] <= 3 + 1  # one for each call, one at the end, and one when a wait ends early


def test_a_stopping_or_outdated_worker_claims_no_more_and_settles_the_calls_in_flight(piece: Slice) -> None:
    piece.due(*"abcdefgh")
    piece.bounds = replace(BOUNDS, max_in_flight=2)
    parts = piece.parts()
    stopping = replace(parts, is_stopping=lambda: len(piece.caller.called) >= 2)
    asyncio.run(run_slice(stopping, [(instance_of("toolbox"), "fp")]))
    assert len(piece.outcomes()) == len(piece.caller.called) == 2

    piece.ledger.is_newer = True
    asked = piece.ledger.asked["toolbox"]
    assert asyncio.run(run_slice(parts, [(instance_of("toolbox"), "fp")])) is False
    assert piece.ledger.asked["toolbox"] == asked + 1
