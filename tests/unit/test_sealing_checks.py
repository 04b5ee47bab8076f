"""What the doctor says about SEAL_TO beside LOGIN_KEYS."""

import os

from worker.doctor import Level
from worker.seal import Vault
from worker.sealing_checks import check_sealing

OLD, NEW = os.urandom(32), os.urandom(32)
KEYS = Vault([NEW, OLD]).public_keys


def test_the_key_of_the_newest_of_login_keys_is_right() -> None:
    assert check_sealing(KEYS[0], KEYS, is_required=False).level is Level.OK


def test_a_key_that_no_worker_has_fails_and_the_right_one_is_named() -> None:
    check = check_sealing(Vault([os.urandom(32)]).public_keys[0], KEYS, is_required=False)
    assert check.level is Level.FAIL
    assert f"SEAL_TO={KEYS[0]}" in check.advice


def test_the_key_of_an_older_one_is_warned_of_before_it_leaves_login_keys() -> None:
    check = check_sealing(KEYS[1], KEYS, is_required=True)
    assert check.level is Level.WARN
    assert f"SEAL_TO={KEYS[0]}" in check.advice


def test_a_machine_without_login_keys_cannot_tell() -> None:
    check = check_sealing(KEYS[0], (), is_required=False)
    assert check.level is Level.UNKNOWN
    assert KEYS[0].id in check.what


def test_without_a_key_the_doctor_says_what_becomes_of_clear_login_ids() -> None:
    assert "in clear" in check_sealing(None, KEYS, is_required=False).what
    assert "set aside" in check_sealing(None, KEYS, is_required=True).what
