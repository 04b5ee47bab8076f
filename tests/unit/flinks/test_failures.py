"""The verdict on a call without an answer."""

import pytest

from worker.flinks.failures import FailureKind, Progress, verdict_of_failure
from worker.flinks.outcome import Outcome, Verdict


@pytest.mark.parametrize(
    ("kind", "code", "is_unreachable"),
    [
        (FailureKind.NAME_NOT_FOUND, "name_not_found", True),
        (FailureKind.CONNECT, "connect_failed", False),
        (FailureKind.TLS, "tls_failure", True),
        (FailureKind.TIMEOUT, "timeout", False),
        (FailureKind.CLOSED, "connection_reset", False),
        (FailureKind.PROTOCOL, "protocol_error", False),
    ],
)
@pytest.mark.parametrize(
    ("progress", "is_ambiguous"),
    [
        (Progress.NOT_CONNECTED, False),
        (Progress.CONNECTED, False),
        (Progress.WRITTEN, True),
        (Progress.ANSWERED, True),
    ],
)
def test_a_missing_answer_is_transient_and_ambiguous_only_if_a_part_of_the_request_was_written(
    kind: FailureKind,
    code: str,
    is_unreachable: bool,  # noqa: FBT001 - a parameter
    progress: Progress,
    is_ambiguous: bool,  # noqa: FBT001 - a parameter
) -> None:
    assert verdict_of_failure(kind, progress) == Verdict(
        Outcome.TRANSIENT, code, is_ambiguous=is_ambiguous, is_unreachable=is_unreachable, is_down=True
    )
