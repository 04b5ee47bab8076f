import os
import signal

import pytest

from sandbox.stack.guard import watch_until_closed


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    groups: list[int] = []

    def kill(group_id: int, number: int) -> None:
        assert number == signal.SIGKILL
        groups.append(group_id)
        if group_id == 404:
            raise ProcessLookupError

    monkeypatch.setattr(os, "killpg", kill)
    return groups


def test_every_watched_process_group_is_killed_when_the_pipe_closes(killed: list[int]) -> None:
    watch_until_closed(["+10\n", "+20\n"])

    assert sorted(killed) == [10, 20]


def test_a_released_process_group_is_not_killed(killed: list[int]) -> None:
    watch_until_closed(["+10\n", "+20\n", "-10\n"])

    assert killed == [20]


def test_a_missing_process_group_does_not_save_the_others(killed: list[int]) -> None:
    watch_until_closed(["+404\n", "+20\n"])

    assert 20 in killed
