"""Publishes to the demo's running stack as an external producer would, and reads its state and the result."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from typing import Self

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from sandbox.demo.mix import CeleryMessage, Parcel
from sandbox.demo.outcome import Evidence, refusals_of
from sandbox.demo.screen import Look
from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack
from worker.broker.celery_config import kombu_address
from worker.errors import EmbeddedStackError
from worker.events.channels import EVENTS_QUEUE, STREAM
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages
from worker.ledger.queries import Views
from worker.operations.waiting import unrecorded
from worker.redis_client.connect import connect

_UNREACHABLE = (redis.RedisError, OperationalError, HTTPException, OSError)


class System:
    """One running stack, used from outside."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._stack = stack
        url = stack.environment["REDIS_URL"]
        self._redis = connect(url, name="nightly-demo")
        self._views, self._letters = Views(self._redis), LetterPages(self._redis)
        self.emulator = EmulatorControl(stack.emulator_url or "")
        broker, _ = kombu_address(url)
        self._celery = Celery("nightly-demo", broker=broker, set_as_current=False)
        self._producer = self._celery.amqp.Producer(self._celery.connection_for_write(broker))
        self._published = 0
        self._begun_at: float | None = None

    @classmethod
    @contextmanager
    def of(cls, stack: EmbeddedStack) -> Iterator[Self]:
        """Open connections, and close them."""
        system = cls(stack)
        try:
            yield system
        except _UNREACHABLE as error:  # its text may quote a command, and a command may hold a loginId
            raise EmbeddedStackError(f"a part of the demo does not answer any more: {type(error).__name__}") from None
        finally:
            system._celery.close()
            system._producer.close()
            system._redis.close()

    def publish(self, parcels: Sequence[Parcel]) -> None:
        """Send each parcel as its kind requires."""
        self._begun_at = self._begun_at or time.monotonic()
        entries = self._redis.pipeline(transaction=False)
        for parcel in parcels:
            if isinstance(parcel, CeleryMessage):
                self._celery.send_task(
                    parcel.task,
                    args=parcel.args,
                    kwargs=dict(parcel.kwargs),
                    queue=EVENTS_QUEUE,
                    producer=self._producer,
                )
            else:
                entries.xadd(STREAM, parcel.fields)
        entries.execute()
        self._published += sum(parcel.events for parcel in parcels)

    def look(self) -> Look:
        """Return the state now; raises EmbeddedStackError with the end of its log if a worker died."""
        for worker in self._stack.workers:
            if not worker.is_running:
                raise EmbeddedStackError(f"{worker.name} died ({worker.exit_code}); its log ends:\n{worker.tail()}")
        unread = unrecorded(self._redis)  # first: an event that has left its way in is in the ledger
        status = self._views.status()
        instances = list(status["instances"].values())
        look = Look(self._published, status["rejected"], instances[0]["tally"] if instances else {})
        open_work = {name: sum(about[name] for about in instances) for name in ("due_live", "waiting", "in_flight")}
        open_work["unread messages"] = unread
        open_work["events without an end"] = self._published - look.ended
        if not any(open_work.values()):  # read last: only ended calls leave late writes
            open_work["late writes at Flinks"] = self.emulator.stats().late_writes_pending
        still_open = {name.replace("_", " "): count for name, count in open_work.items() if count}
        return replace(look, still_open=still_open)

    def evidence(self, look: Look) -> Evidence:
        """Collect the data that `judge` needs."""
        seconds = time.monotonic() - (self._begun_at or time.monotonic())
        flags = {
            login: flag.is_activated for logins in self.emulator.state().values() for login, flag in logins.items()
        }
        calls = self.emulator.calls()
        return Evidence(
            look, list(self._letters.letters(LetterFilter())), flags, refusals_of(calls), len(calls), seconds
        )
