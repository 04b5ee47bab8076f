"""The start of a shutdown."""

import threading

from worker.celery_worker.shutdown import Shutdown, Stage


def test_a_shutdown_request_wakes_the_main_loop_from_another_thread() -> None:
    """The interrupted thread may hold the lock of the main loop, so the signal handler must not take it."""
    shutdown = Shutdown(within_seconds=3600)
    is_awake, woken_by = threading.Event(), []

    def wake() -> None:
        woken_by.append(threading.current_thread())
        is_awake.set()

    shutdown.wake_main = wake
    shutdown.begin()

    assert is_awake.wait(10)
    assert woken_by != [threading.main_thread()]
    assert shutdown.stage is Stage.WARM


def test_a_second_shutdown_request_never_weakens_the_first() -> None:
    shutdown = Shutdown(within_seconds=3600)
    shutdown.begin(Stage.COLD)
    shutdown.begin(Stage.WARM)
    assert shutdown.stage is Stage.COLD
