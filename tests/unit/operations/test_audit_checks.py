"""The check of the audit log for `nightly doctor`."""

from worker.ledger.audit_entries import Head, Verification
from worker.operations.audit_checks import check_audit
from worker.operations.checks import Level


def test_a_broken_chain_fails_and_says_what_to_do() -> None:
    check = check_audit(Verification(2, Head(2, "a" * 64), 3, "entry 4 is in its place"))
    assert (check.level, check.what) == (Level.FAIL, "broken at entry 3: entry 4 is in its place")
    assert "nightly audit-log verify --heads" in check.advice


def test_an_intact_chain_shows_its_head() -> None:
    check = check_audit(Verification(10_000, Head(20_000, "a" * 64)))
    assert (check.level, "the newest 10,000 entries are intact" in check.what) == (Level.OK, True)
    assert Head.read(f"20000 {check.what.rpartition(' ')[2]}") == Head(20_000, "a" * 64)


def test_an_empty_log_is_fine() -> None:
    assert check_audit(Verification(0, Head())).what == "no entry yet"
