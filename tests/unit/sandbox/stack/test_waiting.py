from itertools import count

from sandbox.stack.waiting import wait_until


def test_a_condition_that_holds_is_not_waited_for() -> None:
    assert wait_until(lambda: "found", seconds=60) == "found"


def test_polling_goes_on_until_the_condition_holds() -> None:
    tries = count(1)

    assert wait_until(lambda: (number := next(tries)) == 3 and number, seconds=60, every_seconds=0) == 3


def test_a_condition_that_never_holds_ends_with_its_last_value() -> None:
    assert wait_until(list, seconds=0.01, every_seconds=0) == []


def test_a_condition_is_checked_once_even_without_time() -> None:
    assert wait_until(lambda: True, seconds=0)
