"""The latest accepted requests are remembered, in bounded memory."""

from worker.web.webhook.repeats import Accepted


def signature(number: int) -> bytes:
    return number.to_bytes(16) + bytes(16)


def test_an_accepted_request_is_recognised_by_its_signature() -> None:
    accepted = Accepted()
    accepted.remember(signature(1), 3)
    assert accepted.events_of(signature(1)) == 3
    assert accepted.events_of(signature(2)) == 0


def test_at_least_the_latest_half_and_at_most_the_limit_are_remembered() -> None:
    accepted = Accepted(at_most=10)
    for number in range(100):
        accepted.remember(signature(number), 1)
        known = [one for one in range(number + 1) if accepted.events_of(signature(one))]
        assert known == list(range(number + 1))[-len(known) :]
        assert min(number + 1, 5) <= len(known) <= 10
