"""`nightly emulator`, against an emulator that runs."""

import json
from collections.abc import Callable

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from sandbox.emulator.command import CODES, OTHERS, app, parameters_of
from sandbox.emulator.remote import EmulatorControl
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID
from tests.places import ROOT
from worker.errors import EmbeddedStackError
from worker.vault.vault import Vault

Run = Callable[..., Result]


@pytest.fixture
def run(emulator: EmulatorControl, login_keys: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with the settings of a sandbox whose Flinks is the session's emulator."""
    settings = {"SANDBOX": "1", "LOGIN_KEYS": login_keys, "FLINKS_BASE_URL": emulator.base_url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def call(emulator: EmulatorControl, login_id: str) -> httpx.Response:
    url = f"{emulator.base_url}/v3/{DEFAULT_CUSTOMER_ID}/BankingServices/SetScheduledRefresh"
    return httpx.patch(url, json={"loginId": login_id, "isActivated": True}, trust_env=False)


def test_a_fault_for_one_login_is_set_shown_and_cleared(run: Run, emulator: EmulatorControl, vault: Vault) -> None:
    assert "No fault is set" in run("show").output
    assert "Fault 1: INVALID_LOGIN for all calls of demo-1" in run("fault", "INVALID_LOGIN", "--login", "demo-1").output
    assert call(emulator, "demo-1").json()["FlinksCode"] == "INVALID_LOGIN"
    assert call(emulator, "demo-2").status_code == 200

    shown = run("show").output
    assert f"INVALID_LOGIN for all calls of {vault.reference('toolbox', 'demo-1')}; calls so far: 1" in shown
    assert "2: 1 with 200, 1 with 400" in shown
    assert vault.reference("toolbox", "demo-2") in shown
    assert "demo-" not in shown

    assert "Faults removed: 1." in run("clear").output
    assert call(emulator, "demo-1").status_code == 200


def test_json_has_references_unless_the_login_was_given(run: Run, emulator: EmulatorControl, vault: Vault) -> None:
    call(emulator, "demo-1")
    run("fault", "RETRY_LATER", "--share", "0.1")
    document = json.loads(run("show", "--json").output)
    (login,) = document["logins"]
    assert login.pop("written_at").endswith("Z")
    assert login == {"login": vault.reference("toolbox", "demo-1"), "instance": "toolbox", "flag": "on", "writes": 1}
    assert document["faults"] == [{"id": 1, "fault": "RETRY_LATER", "logins": None, "share": 0.1, "calls_affected": 0}]
    given = json.loads(run("show", "--json", "--login", "demo-1", "--login", "other").output)
    assert [login["login"] for login in given["logins"]] == ["demo-1"]


def test_every_listed_fault_is_accepted_and_answers_its_code(emulator: EmulatorControl) -> None:
    for name in sorted(CODES):
        emulator.faults(parameters_of(name) or {})
        assert call(emulator, "demo-1").json()["FlinksCode"] == name
    emulator.faults(*(parameters_of(name) or {} for name in OTHERS))
    assert {report.fault.knob for report in emulator.fault_reports()} == set(OTHERS)


def test_the_documentation_names_every_fault() -> None:
    text = (ROOT / "docs" / "emulator.md").read_text()
    assert not [name for name in OTHERS if f"`{name}`" not in text]


def test_an_unknown_fault_is_answered_with_those_that_exist(run: Run) -> None:
    done = run("fault", "INVALID_LOGINS")
    assert done.exit_code == 2
    assert "INVALID_LOGIN," in done.output
    assert "outage" in done.output


def test_without_an_emulator_the_command_says_how_to_start_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLINKS_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(EmbeddedStackError, match="No emulated Flinks answers at"):
        raise run("show").exception or AssertionError
    monkeypatch.setenv("SANDBOX", "0")
    with pytest.raises(EmbeddedStackError, match="No emulated Flinks is in the settings: start one with `nightly run`"):
        raise run("show").exception or AssertionError
