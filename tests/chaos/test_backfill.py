"""The short form of the backfill scenario; `make prove` runs the long one with ten kills."""

from pathlib import Path

from sandbox.emulator.calls import Call
from tests.chaos.backfill import backfill
from tests.chaos.backfill_rows import Drawn, Kind, expected


def test_a_backfill_report_is_exact_although_its_start_every_worker_and_redis_are_killed(tmp_path: Path) -> None:
    report = backfill(
        tmp_path,
        rows=700,
        kills=1,
        start_kills=1,
        redis_kills=1,
        workers=1,
        steered_rows=0,
        calls_per_second=150,
        seed=1,
        say=lambda _: None,
    )
    assert not report.broken, report.text()


def test_the_reference_distinguishes_rows_called_before_and_after_a_live_event() -> None:
    """A judge that accepts any outcome would prove nothing."""

    def call(login: str, ended_at: float) -> Call:
        return Call(1, "customer", login, wish=True, started_at=0, started_monotonic=0, ended_at=ended_at, status=200)

    kinds = {"never-called": Kind.RACING, "called-before": Kind.RACING, "met": Kind.RACING, "fresh": Kind.FRESH}
    rows = [Drawn(kind, line, "", login) for line, (login, kind) in enumerate(kinds.items())]
    rows.append(Drawn(Kind.DUPLICATE, 9, "", "fresh"))
    sent_at = dict.fromkeys(kinds, 100.0)
    calls = [call("called-before", 50), call("met", 99.9), call("fresh", 10)]
    found = [sorted(outcomes) for outcomes in expected(rows, calls, sent_at)]
    assert found == [["superseded"], ["applied"], ["applied", "superseded"], ["applied"], ["duplicate"]]
