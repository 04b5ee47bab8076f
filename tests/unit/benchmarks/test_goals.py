from benchmarks.figures import Spread
from benchmarks.goals import Goal, judge
from benchmarks.heat import Heat
from tests.unit.benchmarks.heats import heat


def goal_about(words: str, heats: list[Heat]) -> Goal:
    return next(goal for goal in judge(heats) if words in goal.name)


def test_a_ratio_is_taken_within_each_round_and_its_median_is_judged() -> None:
    ours = [heat("nightly", rate) for rate in (10000, 2000, 5200)]
    theirs = [heat("naive celery", rate) for rate in (50, 40, 50)]

    goal = goal_about("naive Celery", ours + theirs)

    assert goal.measured == Spread(104, 50, 200)
    assert goal.is_met


def test_a_median_below_the_goal_does_not_meet_it() -> None:
    assert not goal_about("naive Celery", [heat("nightly", 4999), heat("naive celery", 50)]).is_met


def test_the_queue_to_compare_with_is_the_fastest_one_at_that_delay() -> None:
    heats = [heat("nightly", 2000), heat("arq", 400), heat("dramatiq", 1250), heat("saq", 9000, delay_ms=50)]

    goal = goal_about("best other queue", heats)

    assert "(dramatiq)" in goal.name
    assert (goal.measured.median, goal.is_met) == (1.6, False)


def test_half_of_the_bare_loops_rate_is_the_goal_at_50_ms_and_none_at_0_ms() -> None:
    assert goal_about("bare loop", [heat("nightly", 500, delay_ms=50), heat("bare loop", 1000, delay_ms=50)]).is_met
    assert not goal_about("bare loop", [heat("nightly", 499, delay_ms=50), heat("bare loop", 1000, delay_ms=50)]).is_met
    assert judge([heat("nightly", 500), heat("bare loop", 1000)]) == []


def test_at_200_ms_the_limit_on_calls_in_flight_is_the_measure() -> None:
    assert goal_about("200 ms", [heat("nightly", 1216.1, delay_ms=200)]).is_met  # 256 calls / 0.2 s = 1280 a second
    assert not goal_about("200 ms", [heat("nightly", 1215, delay_ms=200)]).is_met


def test_a_goal_without_its_contenders_is_not_judged() -> None:
    assert judge([heat("nightly", 1000)]) == []
    assert judge([heat("bare loop", 1000), heat("naive celery", 10)]) == []
