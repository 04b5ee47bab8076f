from benchmarks.contender_list import ENTRIES
from benchmarks.race import chosen, rotated


def test_names_choose_themselves_alone_and_beginnings_choose_all_that_begin_so() -> None:
    assert [entry.name for entry in chosen("nightly, bare")] == ["nightly", "bare loop"]
    assert [entry.name for entry in chosen("nightl")] == ["nightly", "nightly from the ledger"]


def test_all_contenders_run_where_none_is_named() -> None:
    assert chosen("") == list(ENTRIES)


def test_each_round_has_another_order_and_every_contender() -> None:
    orders = [rotated(ENTRIES[:3], number) for number in range(3)]

    assert {order[0].name for order in orders} == {entry.name for entry in ENTRIES[:3]}
    assert all(sorted(entry.name for entry in order) == sorted(entry.name for entry in ENTRIES[:3]) for order in orders)
