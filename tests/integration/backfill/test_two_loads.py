"""Two `start` commands at once, with files that begin alike: a backfill never holds rows of both."""

from collections.abc import Callable, Iterator

import pytest
from redis.client import Pipeline

from tests.integration.backfill.conftest import only
from tests.people import ANN
from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.file_rows import Form
from worker.backfill.loader import Loading, Terms
from worker.backfill.models import Asks, Row
from worker.errors import BackfillError
from worker.services import Services

SAME, ALL = 2 * ROWS_IN_CHUNK, 5 * ROWS_IN_CHUNK
TERMS = Terms(instance="toolbox", wish=Asks.OFF, by=ANN)


def rows(name: str, *, stops_at: int = ALL, at: int = -1, then: Callable[[], object] = lambda: None) -> Iterator[Row]:
    """Yield rows that differ from those of another file from row SAME on; before row `at`, call `then`."""
    for number in range(stops_at):
        if number == at:
            then()
        yield Row(number + 1, f"login-{number}" if number < SAME else f"{name}-{number}")


def load(services: Services, rows: Iterator[Row]) -> None:
    Loading(services.backfills, services.vault).load(rows, Form("plain"), TERMS, now_us=1_000_000)


def test_rows_of_another_file_with_the_same_beginning_are_refused(services: Services) -> None:
    def killed() -> Iterator[Row]:
        yield from rows("theirs", stops_at=SAME + ROWS_IN_CHUNK + 1)
        raise KeyboardInterrupt

    def other() -> None:
        with pytest.raises(KeyboardInterrupt):
            load(services, killed())

    with pytest.raises(BackfillError):
        load(services, rows("ours", at=SAME + 1, then=other))
    assert only(services).status == "loading"


def test_a_load_does_not_commit_rows_over_chunks_that_another_load_wrote_first(services: Services) -> None:
    store = services.backfills
    backfill = store.create(instance="toolbox", wish="off", as_of_us=1)
    ours, theirs = [Row(1, "ours")], [Row(1, "theirs")]
    store.put_chunk(backfill.id, 0, ours, "digest of ours")
    store.put_chunk(backfill.id, 0, theirs, "digest of theirs")  # the chunk exists already and is kept
    with pytest.raises(BackfillError, match="another start"):
        store.commit(backfill.id, "digest of theirs", only_loaded=True, by=ANN)
    assert store.commit(backfill.id, "digest of ours", only_loaded=True, by=ANN).status == "running"
    with pytest.raises(BackfillError, match="another start"):
        store.commit(backfill.id, "digest of theirs", only_loaded=True, by=ANN)
    assert store.chunk(backfill.id, 0) == ours


def test_a_load_that_is_committed_while_another_command_removes_it_is_kept(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = services.backfills
    backfill = store.create(instance="toolbox", wish="off", as_of_us=1)
    store.put_chunk(backfill.id, 0, [Row(1, "ours")], "digest")
    multi = Pipeline.multi

    def late(pipeline: Pipeline) -> None:
        store.commit(backfill.id, "digest", by=ANN)
        multi(pipeline)

    monkeypatch.setattr(Pipeline, "multi", late)
    with pytest.raises(BackfillError, match="already loaded"):
        store.forget(backfill.id)
    assert store.get(backfill.id).status == "running"
    assert store.chunk(backfill.id, 0) == [Row(1, "ours")]
