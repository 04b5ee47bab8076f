"""The short form of the bulk scenario; `make prove` runs the long one with ten thousand letters."""

from pathlib import Path

from tests.chaos.bulk import bulk


def test_a_bulk_replay_decides_each_letter_once_although_its_start_the_page_every_worker_and_redis_are_killed(
    tmp_path: Path,
) -> None:
    report = bulk(
        tmp_path, letters=150, kills=1, start_kills=1, page_kills=1, redis_kills=1, workers=1, calls_per_second=40,
        seed=1, say=lambda _: None,
    )  # fmt: skip
    assert not report.broken, report.text()
