"""`status` counts each login once, while workers move logins between states."""

import threading
import time

from redis import Redis

from tests import ledger_calls
from worker.ledger import Ledger, Settlement, Wish
from worker.ledger.queries import Views


def test_a_login_that_moves_meanwhile_is_counted_once(redis_client: Redis) -> None:
    ledger, views = Ledger(redis_client), Views(redis_client)
    ledger.record([Wish("lgn_mover", "toolbox", b"sealed", 1_600_000_000_000_000, True, "e")])  # noqa: FBT003
    redis_client.hset("nightly:configs:toolbox", "fp", "proven")
    is_over = threading.Event()
    moves = 0

    def move_about() -> None:
        nonlocal moves
        while not is_over.is_set():
            reply = ledger_calls.claim(
                ledger,
                "toolbox",
                at_most=1,
                owner="o",
                worker="w",
                lease_seconds=60,
                settle_seconds=20,
                calls_per_second=100_000,
                max_in_flight=1,
                fingerprint="fp",
            )
            given_back = [Settlement(claim, "unsent") for claim in reply.claims]
            ledger_calls.settle(ledger, "toolbox", given_back, owner="o", fingerprint="fp", calls_per_second=100_000)
            moves += len(given_back)

    mover = threading.Thread(target=move_about)
    mover.start()
    try:
        until = time.monotonic() + 30
        looks = 0
        while looks < 500 or (moves < 100 and time.monotonic() < until):
            state = views.status()["instances"]["toolbox"]
            assert state["due_live"] + state["waiting"] + state["in_flight"] == 1
            looks += 1
    finally:
        is_over.set()
        mover.join()
    assert moves >= 100
