"""Which accepted requests are remembered: the latest, in bounded memory."""

from worker.web.webhook.repeats import Accepted


def signature(number: int) -> bytes:
    return number.to_bytes(16) + bytes(16)


def test_a_request_that_was_accepted_is_known_by_its_signature_and_another_is_not() -> None:
    accepted = Accepted()
    accepted.remember(signature(1), 3)
    assert accepted.events_of(signature(1)) == 3
    assert accepted.events_of(signature(2)) == 0


def test_the_latest_half_is_always_known_and_never_more_than_the_limit() -> None:
    accepted = Accepted(at_most=10)
    for number in range(100):
        accepted.remember(signature(number), 1)
        known = [one for one in range(number + 1) if accepted.events_of(signature(one))]
        assert known == list(range(number + 1))[-len(known) :]
        assert min(number + 1, 5) <= len(known) <= 10
