"""The short forms of the scenarios about the gate; `make prove` runs the long ones."""

from pathlib import Path

from tests.chaos.outage import outage
from tests.chaos.wrong_customer import wrong_customer


def test_an_outage_costs_few_calls_and_no_attempts_and_every_wish_is_applied_after_it(tmp_path: Path) -> None:
    report = outage(tmp_path, logins=150, seconds=4, calls_per_second=500, workers=1, seed=1, say=lambda _: None)
    assert not report.broken, report.text()


def test_a_wrong_customer_id_makes_few_dead_letters_and_one_command_replays_them(tmp_path: Path) -> None:
    report = wrong_customer(tmp_path, logins=300, quiet_seconds=2, workers=1, seed=1, say=lambda _: None)
    assert not report.broken, report.text()
