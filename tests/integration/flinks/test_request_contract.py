"""openapi-core judges every request that we build against the contract of the endpoint."""

import json
from typing import Any

import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest
from pydantic import SecretStr

from tests.places import ROOT
from worker.config.instances import Instance
from worker.flinks.protocol import FlinksRequest, build_request

CONTRACT = ROOT / "tests/samples/set-scheduled-refresh.openapi.yaml"
HOST = "https://acme-ca-api.private.fin.ag"
INSTANCE = Instance(
    name="acme-ca",
    customer_id="43387ca6-0391-4c82-857d-70d95f087ecb",
    auth_key=SecretStr("a-key"),
    auth_header="flinks-auth-key",
    auth_scheme="",
    base_url=HOST,
)


@pytest.fixture(scope="module")
def contract() -> OpenAPI:
    return OpenAPI.from_dict(yaml.safe_load(CONTRACT.read_text()))


def as_seen_by_a_validator(request: FlinksRequest, content: bytes | None = None) -> Any:
    return MockRequest(
        HOST,
        request.method.lower(),
        request.url.removeprefix(HOST),
        headers=dict(request.headers),
        data=request.content if content is None else content,
        content_type=request.headers["content-type"],
    )


@pytest.mark.parametrize("wants_active", [True, False])
@pytest.mark.parametrize("login_id", ["bb8b8569-3bfc-43c1-ae31-08d6decf1675", "x", 'é"\\ 日本', "l" * 256])
def test_the_request_fits_the_contract(contract: OpenAPI, login_id: str, wants_active: bool) -> None:  # noqa: FBT001 - a parameter
    seen = as_seen_by_a_validator(build_request(INSTANCE, login_id, wants_active))
    contract.validate_request(seen)
    result = contract.unmarshal_request(seen)
    assert result.parameters.path == {"customerId": INSTANCE.customer_id}
    assert result.body == {"loginId": login_id, "isActivated": wants_active}


@pytest.mark.parametrize("body", [{"loginId": "x"}, {"loginId": "x", "isActivated": "true"}, {"isActivated": None}])
def test_the_contract_rejects_a_wrong_body(contract: OpenAPI, body: dict[str, object]) -> None:
    request = build_request(INSTANCE, "x", wants_active=True)
    with pytest.raises(OpenAPIError):
        contract.validate_request(as_seen_by_a_validator(request, json.dumps(body).encode()))
