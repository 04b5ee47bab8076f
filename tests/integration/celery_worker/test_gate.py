"""A mistake in our configuration costs one call and no message."""

import pytest

from tests import ledger_calls
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.people import ANN
from tests.waiting import eventually

RIGHT_KEY, WRONG_KEY = "right-key-of-the-test", "wrong-key-of-the-test"


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_AUTH_KEY": WRONG_KEY}


def test_a_wrong_key_dead_letters_nothing_and_the_right_one_resumes(nightly: Nightly) -> None:
    nightly.emulator.accept_keys(RIGHT_KEY)
    logins = new_logins(100)
    first = nightly.stack.start_worker()
    nightly.send([cloud_event(login, on=True, minute=0) for login in logins])
    eventually(lambda: nightly.tally().get("recorded") == 100, describe="100 recorded events")
    gate = eventually(
        lambda: nightly.services.views.gate("toolbox")["state"] == "closed" and nightly.services.views.gate("toolbox"),
        describe="a closed gate",
    )
    assert (gate["cause"], gate["code"]) == ("halt", "ACCESS_DENIED")
    nightly.stack.stop_process(first)
    assert nightly.emulator.stats().load.calls == 1
    assert nightly.letters() == []

    nightly.stack.environment["FLINKS_AUTH_KEY"] = RIGHT_KEY
    nightly.stack.start_worker()
    nightly.comes_to_rest()
    assert nightly.flags() == dict.fromkeys(logins, True)
    assert nightly.services.views.gate("toolbox")["state"] == "open"


def test_a_repaired_flinks_key_is_used_again_when_the_gate_is_opened_by_hand(nightly: Nightly) -> None:
    nightly.emulator.accept_keys(RIGHT_KEY)
    logins = new_logins(20)
    nightly.stack.start_worker()
    nightly.send([cloud_event(login, on=True, minute=0) for login in logins])
    eventually(lambda: nightly.services.views.gate("toolbox")["state"] == "closed", describe="a closed gate")
    nightly.emulator.accept_keys(WRONG_KEY)
    nightly.services.gate.open("toolbox", by=ANN)
    nightly.comes_to_rest()
    assert nightly.flags() == dict.fromkeys(logins, True)


def test_logins_that_their_institution_refuses_become_dead_letters_and_delay_no_other_login(nightly: Nightly) -> None:
    """Two such logins close the gate, as if our key were refused."""
    nightly.emulator.accept_keys(WRONG_KEY)
    *refused, well = new_logins(5)
    nightly.emulator.faults({"knob": "unauthorized", "logins": refused})
    nightly.stack.start_worker()
    nightly.send([cloud_event(login, on=True, minute=0) for login in refused])
    nightly.comes_to_rest()
    nightly.send([cloud_event(well, on=True, minute=1)])
    nightly.comes_to_rest()
    groups = {(group.code, group.wish, group.count) for group in nightly.services.letters.groups()}
    assert groups == {("UNAUTHORIZED", "on", 4)}
    assert nightly.flags().get(well) is True
    assert nightly.services.views.gate("toolbox")["state"] == "open"


def test_invalid_login_is_one_call_and_one_dead_letter_and_a_replay_sends_the_current_wish(nightly: Nightly) -> None:
    nightly.emulator.accept_keys(WRONG_KEY)
    known, unknown, gone = new_logins(3)
    nightly.emulator.unknown_logins(unknown, gone)
    nightly.stack.start_worker()
    nightly.send(
        [
            cloud_event(known, on=True, minute=0),
            cloud_event(unknown, on=True, minute=0),
            cloud_event(gone, on=False, minute=0),
        ]
    )
    nightly.comes_to_rest()
    groups = {(group.code, group.wish, group.count) for group in nightly.services.letters.groups()}
    assert groups == {("INVALID_LOGIN", "on", 1), ("INVALID_LOGIN", "off", 1)}
    assert nightly.emulator.stats().load.calls == 3

    nightly.send([cloud_event(unknown, on=False, minute=1)])
    eventually(lambda: nightly.emulator.stats().load.calls == 4, describe="the newer wish's call")
    nightly.comes_to_rest()
    (letter,) = [
        letter
        for letter in ledger_calls.list_letters(nightly.services.letters)
        if letter.login == nightly.reference(unknown)
    ]
    assert letter.wish == "off"

    nightly.emulator.unknown_logins()
    assert ledger_calls.close(nightly.services.letters, letter.id, "replayed", by="tests") == "replayed"
    nightly.comes_to_rest()
    assert nightly.flags() == {known: True, unknown: False}
