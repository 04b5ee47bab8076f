import threading

import pytest

from worker.celery_worker import hints as wake_up
from worker.celery_worker.hints import WakeUp


def test_many_wishes_are_one_message_and_none_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_up, "WAIT_SECONDS", 0.001)
    sent: list[str] = []
    found = WakeUp(lambda: sent.append("hint"))
    for _ in range(5):
        found.ask()
    found.step()
    found.step()
    assert sent == ["hint"]


def test_a_wish_that_comes_while_one_is_sent_is_sent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_up, "WAIT_SECONDS", 0.001)
    sent: list[str] = []

    def send() -> None:
        sent.append("hint")
        if len(sent) == 1:
            found.ask()

    found = WakeUp(send)
    found.ask()
    found.step()
    found.step()
    assert len(sent) == 2


def test_a_child_sends_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = WakeUp(lambda: None)
    assert found.is_mine
    monkeypatch.setattr(wake_up.os, "getpid", lambda: 1)
    assert not found.is_mine


def test_a_step_that_waits_ends_at_once_and_sends_nothing_when_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_up, "WAIT_SECONDS", 60)
    sent: list[str] = []
    found = WakeUp(lambda: sent.append("hint"))
    waiting = threading.Thread(target=found.step, daemon=True)
    waiting.start()
    found.close()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert sent == []
