from benchmarks.backlog import Wish, backlog
from benchmarks.figures import Spread, rate_of, tally
from benchmarks.stub import Call

ON, OFF = Wish("login-on", is_on=True), Wish("login-off", is_on=False)


def calls_for(*wishes: Wish, every_us: int = 1000) -> list[Call]:
    return [Call(number * every_us, wish.login_id, wish.is_on) for number, wish in enumerate(wishes)]


def test_a_rate_counts_the_intervals_between_the_first_call_and_the_last() -> None:
    assert rate_of([5_000_000, 5_500_000, 6_000_000]) == 2


def test_calls_sent_all_at_once_do_not_beat_the_limit_on_calls_in_flight() -> None:
    waves = [wave * 200_000 for wave in range(10) for _ in range(256)]  # 256 in flight, answered after 0.2 s

    assert rate_of(waves) > 1400
    assert 1279 < rate_of(waves, answered_after_us=200_000) <= 1280


def test_a_single_call_has_no_rate() -> None:
    assert rate_of([]) == rate_of([1]) == rate_of([1, 1]) == 0


def test_the_middle_rate_leaves_out_a_slow_start_and_a_straggler() -> None:
    wishes = list(backlog(100))
    steady = calls_for(*wishes)
    calls = [Call(-10_000_000, *wishes[0]), *steady[1:-1], Call(60_000_000, *wishes[-1])]

    found = tally(wishes, calls)

    assert found.middle_rate == 1000
    assert found.rate < 2


def test_one_call_for_each_login_with_its_wish_is_exact() -> None:
    assert tally([ON, OFF], calls_for(OFF, ON)).is_exact


def test_a_login_that_was_never_called_is_missing() -> None:
    found = tally([ON, OFF], calls_for(ON))

    assert (found.missing, found.twice, found.wrong, found.is_exact) == (1, 0, 0, False)


def test_repeated_calls_for_a_login_are_counted() -> None:
    found = tally([ON, OFF], calls_for(ON, OFF, ON, ON))

    assert (found.missing, found.twice, found.wrong, found.is_exact) == (0, 2, 0, False)


def test_a_wrong_wish_and_an_unknown_login_are_errors() -> None:
    found = tally([ON, OFF], calls_for(ON, Wish(OFF.login_id, is_on=True), Wish("login-of-nobody", is_on=False)))

    assert (found.missing, found.twice, found.wrong, found.is_exact) == (0, 0, 2, False)


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert Spread.of([9, 1, 2]) == Spread(2, 1, 9)
    assert Spread.of([4, 1, 2, 9]) == Spread(3, 1, 9)


def test_a_backlog_is_the_same_each_time_and_names_no_login_twice() -> None:
    first, second = list(backlog(1000)), list(backlog(1000))

    assert first == second
    assert len({wish.login_id for wish in first}) == 1000
    assert 400 < sum(wish.is_on for wish in first) < 600
