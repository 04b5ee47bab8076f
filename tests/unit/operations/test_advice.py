"""The advice for a code or a closed gate."""

from worker.operations.advice import advice_for, gate_advice, gate_reason

STORM = {"cause": "storm", "code": "INVALID_LOGIN or UNAUTHORIZED", "detail": "25 logins in a row"}


def test_the_advice_for_a_login_that_its_institution_refuses_is_to_contact_the_bank() -> None:
    assert "bank's website" in advice_for("UNAUTHORIZED")
    assert "link the account again" in advice_for("INVALID_PASSWORD")


def test_a_storm_names_its_error_codes() -> None:
    assert gate_reason(STORM).startswith("INVALID_LOGIN or UNAUTHORIZED for 25 logins in a row: the customer id")
    assert "nightly gate open toolbox" in gate_advice("toolbox", STORM)
