import pytest

from worker.backfill.from_ledger import FIELDS, Condition, Known
from worker.errors import BackfillError

DAY_US = 86_400_000_000
KNOWN = Known(applied=20_000 * DAY_US, wished=19_000 * DAY_US, wish="on", state="done", code="applied", account="c-1")
NEVER = Known(applied=None, wished=19_000 * DAY_US, wish="off", state="due", code=None, account=None)


@pytest.mark.parametrize(
    ("text", "for_known", "for_never"),
    [
        ("applied<2026-11-01", True, False), ("applied>=2024-10-04T00:00:00Z", True, False),
        ("applied > 2024-10-04", False, False), ("wished<=2022-01-08", True, True), ("wish=on", True, False),
        ("wish!=on", False, True), ("state=done", True, False), ("state=applied", True, False),
        ("state = waiting", False, True), ("code=applied", True, False), ("code!=INVALID_LOGIN", True, True),
        ("account=c-1", True, False), ("account!=c-1", False, True),
    ],
)  # fmt: skip
def test_a_condition_matches_the_logins_that_it_describes(text: str, *, for_known: bool, for_never: bool) -> None:
    condition = Condition.read(text)
    assert (condition.holds(KNOWN), condition.holds(NEVER)) == (for_known, for_never)


@pytest.mark.parametrize("text", ["wsih=on", "wish", "=on", "wish~on", "login=x", ""])
def test_a_misspelt_condition_lists_every_name(text: str) -> None:
    with pytest.raises(BackfillError) as caught:
        Condition.read(text)
    assert all(f"{name} (" in str(caught.value) for name in FIELDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wish=yes", "wish is on or off"), ("state=ready", "one of: waiting"), ("code<X", "with = and !="),
        ("applied<noon", "a time is"), ("applied<2026-11-01T08:00:00", "with its zone"), ("applied<20261101", "a time"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported(text: str, said: str) -> None:
    with pytest.raises(BackfillError, match=said):
        Condition.read(text)
