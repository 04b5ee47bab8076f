from benchmarks.trace import Step, follow

STEPS = [
    Step(10, "pulse", ""),
    Step(20, "xadd", "account-events:stream"),
    Step(30, "lpush", "other"),
    Step(40, "lpush", "refresh"),
    Step(50, "claim", ""),
    Step(60, "pulse", ""),
]


def test_each_step_is_the_first_of_its_kind_after_the_step_before() -> None:
    assert follow(STEPS, [("xadd", ""), ("lpush", "refresh"), ("pulse", "")], 15) == [20, 40, 60]


def test_a_missing_step_is_none_and_hides_no_other() -> None:
    assert follow(STEPS, [("xadd", ""), ("join_reconcilers", ""), ("claim", "")], 0) == [20, None, 50]


def test_steps_before_the_event_do_not_belong_to_it() -> None:
    assert follow(STEPS, [("xadd", "")], 25) == [None]
