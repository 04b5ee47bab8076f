from random import Random

import pytest
from pydantic import TypeAdapter

from sandbox.emulator.effects import Asked, Effect, Ending
from sandbox.emulator.faults import FaultBoard
from sandbox.emulator.knobs import AnyFault
from sandbox.emulator.replies import confirmation, invalid_login

CUSTOMER = "43387ca6-0391-4c82-857d-70d95f087ecb"
ANY_FAULT: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)
HONEST = Effect(confirmation("login-1", is_activated=True), commits=True)
REFUSED = Effect(invalid_login(400), commits=False)


def asked(login_id: str = "login-1", customer_id: str = CUSTOMER) -> Asked:
    return Asked(customer_id, login_id, wish=True)


def board(*faults: dict[str, object], set_at: float = 0) -> FaultBoard:
    made = FaultBoard()
    made.add([ANY_FAULT.validate_python(fault) for fault in faults], set_at)
    return made


def statuses(made: FaultBoard, calls: list[Asked], at: float = 0) -> list[int]:
    return [made.apply(HONEST, call, at).reply.status for call in calls]


def test_without_faults_a_call_has_its_normal_effect() -> None:
    assert board().apply(HONEST, asked(), 0) is HONEST


def test_times_hits_only_the_next_calls() -> None:
    made = board({"knob": "server_error", "times": 2})
    assert statuses(made, [asked()] * 4) == [500, 500, 200, 200]
    assert made.report()[0].fired == 2


def test_once_per_login_hits_the_first_calls_of_each_login() -> None:
    made = board({"knob": "server_error", "once_per_login": 1})
    assert statuses(made, [asked("a"), asked("b"), asked("a"), asked("b")]) == [500, 500, 200, 200]


def test_a_fault_applies_only_to_its_logins_and_customers() -> None:
    made = board({"knob": "server_error", "logins": ["a"], "customers": [CUSTOMER.upper()]})
    calls = [asked("a"), asked("b"), asked("a", customer_id="another")]
    assert statuses(made, calls) == [500, 200, 200]


def test_for_seconds_ends_a_fault() -> None:
    made = board({"knob": "outage", "for_seconds": 5}, set_at=100)
    assert statuses(made, [asked()], at=104.9) == [503]
    assert statuses(made, [asked()], at=105) == [200]


def test_the_same_seed_hits_the_same_calls() -> None:
    fault = {"knob": "server_error", "probability": 0.3, "seed": 7}
    first, second = (statuses(board(fault), [asked()] * 200) for _ in range(2))
    assert first == second
    rng = Random(7)
    assert first == [500 if rng.random() < 0.3 else 200 for _ in range(200)]


def test_delays_add_up_and_the_first_of_other_faults_wins() -> None:
    made = board(
        {"knob": "latency", "milliseconds": 20},
        {"knob": "retry_later"},
        {"knob": "server_error"},
        {"knob": "latency", "milliseconds": 30, "jitter_ms": 10},
    )
    effect = made.apply(HONEST, asked(), 0)
    assert effect.reply.status == 401
    assert effect.knobs == ("latency", "retry_later", "latency")
    assert 0.05 <= effect.delay_seconds <= 0.06
    assert made.report()[2].fired == 0


def test_latency_lets_the_write_through_and_an_error_does_not() -> None:
    latency = {"knob": "latency", "milliseconds": 1}
    assert board(latency).apply(HONEST, asked(), 0).commits
    assert not board(latency, {"knob": "html_502"}).apply(HONEST, asked(), 0).commits


def test_commits_makes_the_write_in_spite_of_an_error() -> None:
    effect = board({"knob": "server_error", "status": 504, "commits": True}).apply(HONEST, asked(), 0)
    assert (effect.reply.status, effect.commits) == (504, True)


WRITING: list[dict[str, object]] = [
    {"knob": "commit_then_timeout"},
    {"knob": "timeout_then_commit_late"},
    {"knob": "slow_body"},
    {"knob": "truncated_json"},
    {"knob": "unconfirmed"},
    {"knob": "reset", "commits": True},
    {"knob": "latency", "milliseconds": 1},
]


@pytest.mark.parametrize("fault", WRITING, ids=lambda fault: fault["knob"])
def test_a_refused_request_writes_nothing_under_any_fault(fault: dict[str, object]) -> None:
    assert board(fault).apply(HONEST, asked(), 0).commits
    assert not board(fault).apply(REFUSED, asked(), 0).commits


@pytest.mark.parametrize("knob", ["wrong_login", "opposite_state", "unconfirmed"])
def test_a_refused_request_is_never_confirmed(knob: str) -> None:
    assert board({"knob": knob}).apply(REFUSED, asked(), 0).reply == REFUSED.reply


def test_removing_one_fault_leaves_the_others() -> None:
    made = board({"knob": "retry_later"}, {"knob": "server_error"})
    assert made.clear(1)
    assert not made.clear(1)
    assert statuses(made, [asked()]) == [500]
    assert made.clear()
    assert statuses(made, [asked()]) == [200]


def test_a_late_write_waits_until_the_client_has_given_up() -> None:
    effect = board({"knob": "timeout_then_commit_late", "late_ms": 250}).apply(HONEST, asked(), 0)
    assert (effect.ending, effect.late_seconds) == (Ending.SILENCE, 0.25)
