"""The advice for a code or a closed gate."""

from worker.flinks import protocol
from worker.flinks.outcome import Outcome
from worker.operations.advice import KNOWN_CODES, advice_for, gate_advice, gate_reason, letter_advice

STORM = {"cause": "storm", "code": "INVALID_LOGIN or UNAUTHORIZED", "detail": "25 logins in a row"}


def test_the_advice_for_a_login_that_its_institution_refuses_is_to_contact_the_bank() -> None:
    assert "bank's website" in advice_for("UNAUTHORIZED")
    assert "link the account again" in advice_for("INVALID_PASSWORD")


def test_a_storm_names_its_error_codes() -> None:
    assert gate_reason(STORM).startswith("INVALID_LOGIN or UNAUTHORIZED for 25 logins in a row: the customer id")
    assert "nightly gate open toolbox" in gate_advice("toolbox", STORM)


def test_every_code_that_ends_a_call_for_good_is_a_known_code_of_dead_letters() -> None:
    fatal = {code for code, outcome in protocol._KNOWN_CODES.items() if outcome is Outcome.DEAD}
    assert fatal | {"unknown_code", "unexpected_response", "retries_exhausted"} <= KNOWN_CODES


def test_the_advice_for_an_unknown_login_depends_on_its_wish() -> None:
    assert letter_advice("INVALID_LOGIN", "off").verb == "nothing_left"
    assert "link the account again" in letter_advice("INVALID_LOGIN", "on").action
    assert letter_advice("INVALID_LOGIN").verb == ""
    assert letter_advice("SOMETHING_NEW", "on").cause == "Flinks refused this login for good."
