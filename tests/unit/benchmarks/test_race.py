from benchmarks.contender_list import ENTRIES
from benchmarks.race import chosen, rotated


def test_a_name_selects_one_contender_and_a_prefix_selects_all_that_start_with_it() -> None:
    assert [entry.name for entry in chosen("nightly, bare")] == ["nightly", "bare loop"]
    assert [entry.name for entry in chosen("nightl")] == ["nightly", "nightly at INFO", "nightly from the ledger"]


def test_all_contenders_run_by_default() -> None:
    assert chosen("") == list(ENTRIES)


def test_each_round_runs_every_contender_in_another_order() -> None:
    orders = [rotated(ENTRIES[:3], number) for number in range(3)]

    assert {order[0].name for order in orders} == {entry.name for entry in ENTRIES[:3]}
    assert all(sorted(entry.name for entry in order) == sorted(entry.name for entry in ENTRIES[:3]) for order in orders)
