"""Shared by tests of the Celery queue: an intake in memory, a reader, and a client that sends."""

from collections.abc import Iterable, Sequence
from typing import Any

from celery import Celery
from redis import Redis

from worker.intake.accept import Rejection
from worker.intake.celery_queue import QueueReader
from worker.intake.messages import CeleryMessage
from worker.intake.poison import Deliveries
from worker.vault.vault import Vault

TIME = "2026-11-22T10:00:00Z"


class Memory:
    """An intake that stores in memory."""

    def __init__(self) -> None:
        self.taken: list[CeleryMessage] = []
        self.rejected: list[str] = []

    def accept_messages(self, messages: Sequence[CeleryMessage]) -> bool:
        self.taken += messages
        return True

    def reject(self, rejections: Iterable[Rejection]) -> None:
        for each in rejections:
            assert (each.source, bool(each.body)) == ("queue", True)
            self.rejected.append(each.error.reason)

    @property
    def logins(self) -> list[str]:
        return [message.kwargs["login_id"] for message in self.taken]


def reader_of(client: Redis, intake: Memory, name: str = "one") -> QueueReader:
    parts: Any = client, intake, Deliveries(client, Vault([bytes(32)]))
    reader = QueueReader(*parts, name=name, on_recorded=lambda: None)
    reader.join()
    return reader


def send(app: Celery, login: str, **options: Any) -> None:
    kwargs = {"login_id": login, "occurred_at": TIME}
    app.send_task("account.linked", kwargs=kwargs, queue="account-events", **options)


def empty(reader: QueueReader) -> None:
    while reader.step():
        pass
