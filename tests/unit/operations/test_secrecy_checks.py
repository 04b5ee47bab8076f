"""The doctor's checks of SEAL_TO, keys that sealed much, and unencrypted connections."""

import os

from worker.operations.checks import Level
from worker.operations.secrecy_checks import SEALS_FAIL, SEALS_WARN, check_plain_text, check_sealing, check_seals
from worker.vault.vault import Vault

OLD, NEW = os.urandom(32), os.urandom(32)
KEYS = Vault([NEW, OLD]).public_keys


def test_the_key_of_the_newest_login_key_passes() -> None:
    assert check_sealing(KEYS[0], KEYS, is_required=False).level is Level.OK


def test_a_key_that_no_worker_has_fails_and_the_advice_names_the_right_one() -> None:
    check = check_sealing(Vault([os.urandom(32)]).public_keys[0], KEYS, is_required=False)
    assert check.level is Level.FAIL
    assert f"SEAL_TO={KEYS[0]}" in check.advice


def test_an_outdated_seal_key_is_a_warning_with_the_new_one() -> None:
    check = check_sealing(KEYS[1], KEYS, is_required=True)
    assert check.level is Level.WARN
    assert f"SEAL_TO={KEYS[0]}" in check.advice


def test_without_login_keys_the_check_is_unknown() -> None:
    check = check_sealing(KEYS[0], (), is_required=False)
    assert check.level is Level.UNKNOWN
    assert KEYS[0].id in check.what


def test_without_a_key_the_doctor_explains_how_clear_login_ids_are_treated() -> None:
    assert "in clear" in check_sealing(None, KEYS, is_required=False).what
    assert "rejected" in check_sealing(None, KEYS, is_required=True).what


def test_the_doctor_warns_of_unencrypted_connections_and_names_them() -> None:
    check = check_plain_text({"REDIS_URL": ("a.internal",), "BROKER_URL": ("b.internal", "c.internal")})
    assert check.level is Level.WARN
    assert "REDIS_URL (a.internal), BROKER_URL (b.internal, c.internal)" in check.what
    assert check_plain_text({}).level is Level.OK


def test_the_doctor_advises_a_new_key_long_before_nonces_may_repeat() -> None:
    counts = (SEALS_WARN - 1, SEALS_WARN, SEALS_FAIL)
    levels = [check_seals("ab12", {"ab12": count, "old1": 2**33}).level for count in counts]
    assert levels == [Level.OK, Level.WARN, Level.FAIL]
    assert "new key in front" in check_seals("ab12", {"ab12": SEALS_WARN}).advice
    assert check_seals("ab12", {}).level is Level.OK
