from collections import deque

from sandbox.emulator.calls import KEPT_CALLS, CallLog, Meter, Moment
from sandbox.emulator.effects import Asked


def asked(customer_id: str, login_id: str) -> Asked:
    return Asked(customer_id, login_id, wish=True)


def at(seconds: float) -> Moment:
    return Moment(1000 + seconds, seconds)


def log() -> CallLog:
    return CallLog({"c": Meter()})


def test_two_calls_of_one_login_in_flight_are_an_overlap() -> None:
    calls = log()
    first = calls.begin(asked("c", "login"), at(0))
    second = calls.begin(asked("c", "login"), at(1))
    assert (first.overlapped_seq, second.overlapped_seq) == (None, first.seq)
    assert calls.stats(at(1)).overlaps == 1


def test_calls_after_each_other_or_of_other_logins_are_no_overlap() -> None:
    calls = log()
    first = calls.begin(asked("c", "login"), at(0))
    calls.begin(asked("c", "another"), at(0))
    calls.begin(asked("other customer", "login"), at(0))
    calls.end(first, "answered", 200, at(1))
    calls.begin(asked("c", "login"), at(2))
    assert calls.stats(at(2)).overlaps == 0


def test_the_rate_is_the_most_in_any_window_of_one_second() -> None:
    meter = Meter()
    for second in (0, 0.6, 0.9, 1.1, 1.5, 1.7, 5):
        meter.begin(second)
    load = meter.load(5)
    assert (load.calls, load.max_calls_per_second, load.calls_last_second) == (7, 4, 1)


def test_in_flight_rises_and_falls_for_each_customer_and_in_total() -> None:
    calls = log()
    mine = [calls.begin(asked("c", str(number)), at(0)) for number in range(3)]
    calls.begin(asked("stranger", "x"), at(0))
    for call in mine:
        calls.end(call, "answered", 200, at(1))
    stats = calls.stats(at(1))
    assert (stats.load.in_flight, stats.load.max_in_flight) == (1, 4)
    assert (stats.by_customer["c"].in_flight, stats.by_customer["c"].max_in_flight) == (0, 3)
    assert set(stats.by_customer) == {"c"}


def test_a_write_after_the_end_counts_as_late() -> None:
    calls = log()
    prompt, late = (calls.begin(asked("c", name), at(0)) for name in ("prompt", "late"))
    calls.commit(prompt, at(1))
    calls.end(prompt, "answered", 200, at(1))
    calls.end(late, "client_left", None, at(1))
    calls.commit(late, at(3))
    stats = calls.stats(at(3))
    assert (stats.committed_writes, stats.late_writes) == (2, 1)
    assert stats.by_status == {"200": 1, "none": 1}
    assert (late.committed_at, late.committed_monotonic) == (1003, 3)


def test_pages_follow_each_other_without_gaps_or_repeats() -> None:
    calls = log()
    for number in range(7):
        calls.begin(asked("c", str(number)), at(number))
    pages: list[list[int]] = []
    since: int | None = 0
    while since is not None:
        page = calls.page(since, 3)
        pages.append([call.seq for call in page.calls])
        since = page.next_since
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    assert calls.page(7, 3).calls == []


def test_the_oldest_calls_are_dropped_and_the_counters_stay_exact() -> None:
    calls = CallLog({}, calls=deque(maxlen=5))
    for number in range(15):
        calls.end(calls.begin(asked("c", "login"), at(number)), "answered", 200, at(number))
    page = calls.page(0, 100)
    assert (page.dropped, [call.seq for call in page.calls]) == (10, [11, 12, 13, 14, 15])
    assert calls.stats(at(15)).load.calls == 15


def test_the_number_of_stored_calls_is_limited() -> None:
    assert log().calls.maxlen == KEPT_CALLS
