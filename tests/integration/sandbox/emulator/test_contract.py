"""The emulator fits the OpenAPI contract of Flinks, judged by third-party tools."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import given, settings
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sandbox.emulator.remote import EmulatorControl
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID
from tests.places import ROOT

CONTRACT = ROOT / "tests/samples/set-scheduled-refresh.openapi.yaml"
TEMPLATE = "/v3/{customerId}/BankingServices/SetScheduledRefresh"
LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
AT_US = {"customerId": DEFAULT_CUSTOMER_ID}
AT_LEAST = 30

load_all_checks()
OPERATION = schemathesis.openapi.from_path(CONTRACT, config=SchemathesisConfig())[TEMPLATE]["PATCH"]
FIFTY = settings(max_examples=50, deadline=None, derandomize=True)


def names_a_login(case: Case[Any]) -> bool:
    """The contract does not require a loginId; the emulator, like Flinks, cannot act without one."""
    return isinstance(case.body, dict) and bool(case.body.get("loginId"))


ACCEPTABLE = OPERATION.as_strategy(GenerationMode.POSITIVE, path_parameters=AT_US).filter(names_a_login)
WRONG = OPERATION.as_strategy(GenerationMode.NEGATIVE, path_parameters=AT_US)
OF_ANYONE = OPERATION.as_strategy(GenerationMode.POSITIVE)


@pytest.fixture(scope="module")
def session_emulator(emulator_url: str) -> Iterator[EmulatorControl]:
    # schemathesis' client heeds a proxy named in the environment; loopback must not go through one.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield EmulatorControl(emulator_url)


@pytest.fixture
def judged(session_emulator: EmulatorControl) -> EmulatorControl:
    session_emulator.reset()
    return session_emulator


def test_every_request_that_fits_the_contract_is_accepted(judged: EmulatorControl) -> None:
    @given(case=ACCEPTABLE)
    @FIFTY
    def send(case: Case[Any]) -> None:
        assert case.call_and_validate(base_url=judged.base_url).status_code == 200

    send()
    stats = judged.stats()
    assert set(stats.by_status) == {"200"}
    assert stats.committed_writes >= AT_LEAST


def test_every_request_that_breaks_the_contract_is_refused(judged: EmulatorControl) -> None:
    @given(case=WRONG)
    @FIFTY
    def send(case: Case[Any]) -> None:
        case.call_and_validate(base_url=judged.base_url)

    send()
    stats = judged.stats()
    assert set(stats.by_status) == {"400"}
    assert stats.load.calls >= AT_LEAST
    assert stats.committed_writes == 0


def test_the_response_for_any_customer_fits_the_contract(judged: EmulatorControl) -> None:
    @given(case=OF_ANYONE)
    @FIFTY
    def send(case: Case[Any]) -> None:
        case.call_and_validate(base_url=judged.base_url, excluded_checks=[positive_data_acceptance])

    send()


@pytest.mark.parametrize(("login_id", "status"), [(LOGIN, 200), ("unknown", 400)])
def test_openapi_core_finds_request_and_response_valid(judged: EmulatorControl, login_id: str, status: int) -> None:
    judged.unknown_logins("unknown")
    path = TEMPLATE.format(**AT_US)
    body: dict[str, Any] = {"loginId": login_id, "isActivated": True}
    with httpx.Client(trust_env=False) as client:
        answer = client.patch(judged.base_url + path, json=body)
    assert answer.status_code == status
    sent = MockRequest(
        "https://toolbox-api.private.fin.ag",
        "patch",
        path,
        data=answer.request.content,
        content_type="application/json",
    )
    got = MockResponse(answer.content, status_code=status, content_type=answer.headers["content-type"])
    contract = OpenAPI.from_dict(yaml.safe_load(CONTRACT.read_text()))
    contract.validate_request(sent)
    contract.validate_response(sent, got)
