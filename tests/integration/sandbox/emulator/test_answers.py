"""The emulator responds as the contract of Flinks says."""

from typing import Any

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID
from tests.integration.sandbox.emulator.calling import LOGIN, OTHER_CUSTOMER, Client, flag, path


def test_a_flag_goes_on_and_off_and_the_response_is_a_json_string(client: Client, emulator: EmulatorControl) -> None:
    assert client.send(wish=True).json() == f"LoginId {LOGIN} has now been activated for automatic refresh"
    assert flag(emulator) is True
    assert client.send(wish=False).json() == f"LoginId {LOGIN} has now been deactivated for automatic refresh"
    written = emulator.state()[DEFAULT_CUSTOMER_ID][LOGIN]
    assert (written.is_activated, written.writes, written.seq) == (False, 2, 2)


def test_a_request_without_a_boolean_is_an_invalid_request(client: Client, emulator: EmulatorControl) -> None:
    answer = client.http.patch(path(), json={"loginId": LOGIN, "isActivated": "true"})
    assert (answer.status_code, answer.json()["FlinksCode"]) == (400, "INVALID_REQUEST")
    assert flag(emulator) is None


@pytest.mark.parametrize("body", [{"isActivated": False}, {"loginId": "", "isActivated": False}])
def test_a_request_that_names_no_login_is_an_invalid_login(
    client: Client, emulator: EmulatorControl, body: dict[str, Any]
) -> None:
    assert client.http.patch(path(), json=body).json()["FlinksCode"] == "INVALID_LOGIN"
    assert emulator.stats().committed_writes == 0


@pytest.mark.parametrize("status", [400, 401])
def test_an_unknown_login_is_an_invalid_login(client: Client, emulator: EmulatorControl, status: int) -> None:
    emulator.unknown_logins(LOGIN)
    emulator.invalid_login_status(status)
    answer = client.send()
    assert (answer.status_code, answer.json()["FlinksCode"]) == (status, "INVALID_LOGIN")
    assert answer.json()["HttpStatusCode"] == status
    assert client.send("another").status_code == 200


def test_at_a_wrong_customer_every_login_is_invalid(client: Client) -> None:
    assert client.send(path=path(OTHER_CUSTOMER)).json()["FlinksCode"] == "INVALID_LOGIN"


def test_a_wrong_key_is_refused_until_it_is_corrected(client: Client, emulator: EmulatorControl) -> None:
    emulator.accept_keys("the-new-key")
    stale = client.send(headers={"flinks-auth-key": "the-old-key"})
    assert (stale.status_code, stale.json()["FlinksCode"]) == (401, "ACCESS_DENIED")
    assert client.send(headers={"flinks-auth-key": "the-new-key"}).status_code == 200
    emulator.accept_keys()
    assert client.send(headers={"flinks-auth-key": "the-old-key"}).status_code == 200


def test_other_methods_and_paths_are_refused_as_such(client: Client) -> None:
    refused = client.http.post(path(), json={"loginId": LOGIN, "isActivated": True})
    assert (refused.status_code, refused.headers["allow"]) == (405, "PATCH")
    assert client.http.patch("/v3/elsewhere").status_code == 404


def test_the_nightly_status_lists_the_cards_it_was_given(client: Client, emulator: EmulatorControl) -> None:
    audit = path(name="GetNightlyRefreshStatus")
    bearer = {"Authorization": "Bearer secret"}
    assert client.http.get(audit).status_code == 401
    assert client.http.get(audit, headers=bearer).json() == {"HttpStatusCode": 200, "IneligibleCards": []}
    emulator.nightly_status({"LoginId": LOGIN}, message="a message", flinks_code="A_CODE")
    document = client.http.get(audit, headers=bearer).json()
    assert document["IneligibleCards"][0]["LoginId"] == LOGIN
    assert document["IneligibleCards"][0]["LastRefreshErrorCode"] is None
    assert (document["Message"], document["FlinksCode"]) == ("a message", "A_CODE")
