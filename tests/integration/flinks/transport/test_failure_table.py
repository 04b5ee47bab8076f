"""Each kind of failure, at each stage in which it can happen, with a real server that does just that."""

from pathlib import Path

import pytest

from tests.integration.flinks.transport.calls import Answered, Failed, call, opened
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.failure_table import BEFORE, CANNOT_HAPPEN, LARGE_REQUEST, TABLE, WRITTEN
from tests.integration.flinks.transport.scripted import BIG
from worker.flinks.failures import FailureKind, Progress, verdict_of_failure


@pytest.mark.parametrize("what", TABLE)
def test_a_failure_says_its_kind_and_how_far_the_call_came(
    run: Run[Answered | Failed], tmp_path: Path, what: str
) -> None:
    make, kind, progress, arrives, (connect, total) = TABLE[what]
    content = BIG if what in LARGE_REQUEST else b"{}"

    async def main(patience: float) -> Answered | Failed:
        async with make(tmp_path) as place, opened(place.url, tls=place.tls, proxy=place.proxy) as transport:
            limits = {"connect": connect * patience, "total": total * patience}
            ended = await call(transport, place.url, content=content, **limits)
            assert place.connections <= 1, "a call is one attempt"
            assert transport.idle_connections == 0
            if ended == Failed(kind, progress):
                assert len(place.requests) == arrives
            return ended

    ended = run(main(1))
    if kind is FailureKind.TIMEOUT and ended != Failed(kind, progress):
        ended = run(main(10))  # a busy machine had not come so far in time
    assert ended == Failed(kind, progress)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("progress", Progress)
def test_only_a_request_that_was_written_is_ambiguous(kind: FailureKind, progress: Progress) -> None:
    verdict = verdict_of_failure(kind, progress)
    assert verdict.is_ambiguous == (progress >= WRITTEN)
    assert verdict.is_unreachable == (kind in {FailureKind.NAME_NOT_FOUND, FailureKind.TLS})
    assert verdict.is_down


def test_the_table_has_every_cell_that_can_happen() -> None:
    elsewhere = {
        (FailureKind.NAME_NOT_FOUND, BEFORE),  # test_names.py
        (FailureKind.CLOSED, Progress.CONNECTED),  # test_pool.py
    }
    tested = {(kind, progress) for _, kind, progress, _, _ in TABLE.values()} | elsewhere
    assert not tested & CANNOT_HAPPEN
    assert tested | CANNOT_HAPPEN == {(kind, progress) for kind in FailureKind for progress in Progress}
