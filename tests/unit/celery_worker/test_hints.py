import threading

import pytest

from worker.celery_worker import hints as hints_module
from worker.celery_worker.hints import Hints


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> Hints:
    monkeypatch.setattr(hints_module, "WAIT_SECONDS", 0.001)
    return Hints()


def test_a_message_requested_five_times_is_sent_once(hints: Hints) -> None:
    sent: list[str] = []

    def send() -> None:
        sent.append("reconcile")

    for _ in range(5):
        hints.ask(send, "refresh")
    hints.step()
    hints.step()
    assert sent == ["reconcile"]


def test_two_kinds_of_messages_are_both_sent(hints: Hints) -> None:
    sent: list[str] = []
    hints.ask(lambda: sent.append("reconcile"), "refresh")
    hints.ask(lambda: sent.append("feed"), "backfill")
    hints.step()
    assert sorted(sent) == ["feed", "reconcile"]


def test_a_message_requested_while_it_is_being_sent_is_sent_again(hints: Hints) -> None:
    sent: list[str] = []

    def send() -> None:
        sent.append("reconcile")
        if len(sent) == 1:
            hints.ask(send, "refresh")

    hints.ask(send, "refresh")
    hints.step()
    hints.step()
    assert len(sent) == 2


def test_after_a_message_that_the_broker_refused_the_next_one_is_sent(hints: Hints) -> None:
    sent: list[str] = []

    def refuse() -> None:
        raise ConnectionError

    hints.ask(refuse, "refresh")
    with pytest.raises(ConnectionError):
        hints.step()
    hints.ask(lambda: sent.append("reconcile"), "refresh")
    hints.step()
    assert sent == ["reconcile"]


def test_a_waiting_step_ends_at_once_without_sending_when_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "WAIT_SECONDS", 60)
    sent: list[str] = []
    hints = Hints()
    waiting = threading.Thread(target=hints.step, daemon=True)
    waiting.start()
    hints.close()
    hints.ask(lambda: sent.append("reconcile"), "refresh")
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert sent == []


def test_nothing_is_sent_to_a_queue_that_nobody_consumes(hints: Hints) -> None:
    sent: list[str] = []
    waiting: dict[str, int | None] = {"refresh": 100, "backfill": 99, "account-events": None}
    hints.queued = lambda queues: waiting[queues[0]]
    for queue in waiting:
        hints.ask(lambda queue=queue: sent.append(queue), queue)  # type: ignore[misc] # bound at once
    hints.step()
    assert sorted(sent) == ["account-events", "backfill"]
    waiting["refresh"] = 0
    hints.step()
    assert len(sent) == 2, "the next pulse asks again"
