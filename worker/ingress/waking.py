"""Has a reconciler woken for what was recorded, after the answer: a crowd of requests costs some rings a second."""

import asyncio

from starlette.concurrency import run_in_threadpool

from worker.ingress.recorder import Recorder

REST_SECONDS = 0.05
"""Between two rings. What is recorded meanwhile is rung for at its end; whoever works already has seen it by then."""


class Ringer:
    """Rings for any number of requests at a time, from one of them."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._is_wanted = False
        self._is_ringing = False

    async def ring(self) -> None:
        """Ring for what was recorded before this call, unless somebody is at it, who then rings once more."""
        self._is_wanted = True
        if self._is_ringing:
            return
        self._is_ringing = True
        try:
            while self._is_wanted:
                self._is_wanted = False
                await run_in_threadpool(self._recorder.wake)
                await asyncio.sleep(REST_SECONDS)
        finally:
            self._is_ringing = False
