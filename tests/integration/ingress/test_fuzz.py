"""The real application on a real Redis against docs/openapi.yaml, judged by schemathesis; every request is signed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from openapi_schema_validator import OAS31Validator
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import missing_required_header, negative_data_rejection, unsupported_method

from docs.generator.rendered import DOCS
from tests.http_events import BATCH, BINARY, SECRET, STRUCTURED, event, signed
from tests.integration.ingress.conftest import served
from worker.embedded import EmbeddedRedis
from worker.seal import Vault, decode_key
from worker.settings import Settings

load_all_checks()
PATH = DOCS / "openapi.yaml"
OPERATION = schemathesis.openapi.from_path(PATH, config=SchemathesisConfig())["/events"]["POST"]
MANY = settings(
    max_examples=35,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
AT_LEAST = 25
LOGIN_KEY = "bmlnaHRseS10ZXN0LWtleS1uaWdodGx5LXRlc3Qta2U"
VAULT = Vault([decode_key(LOGIN_KEY)])
SIGNED_ANEW = [negative_data_rejection, missing_required_header]
"""Checks that do not know that the headers were replaced after the case was made."""
ATTRIBUTES = {f"ce-{name}": quote(text) for name, text in event().items() if isinstance(text, str)}


class Signed(AuthBase):
    """Signs what is about to be sent, as a producer would."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        attributes = sorted((name.lower(), value) for name, value in request.headers.items())
        lines = [f"{name}:{_text(value)}\n" for name, value in attributes if name.startswith("ce-")]
        is_binary = _text(request.headers.get("content-type", "")).startswith(BINARY)
        content = "".join(lines).encode("latin-1") + b"\n" + body if is_binary else body
        for name, value in signed(content).items():
            request.headers[name] = value
        return request


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def acceptable(case: Case[Any]) -> Case[Any]:
    """Turn what fits the schema into what fits the rules that no schema can say."""
    batch = case.body if isinstance(case.body, list) else [case.body]
    for each in batch:
        data = each.get("data", each)
        if "sealedLoginId" in data:
            data["sealedLoginId"] = VAULT.public_keys[0].seal("login-1")
        texts = [(data, "loginId")] if "loginId" in data else []
        texts += [(each, name) for name in ("id", "source", "subject") if each.get(name)]
        for holder, name in texts:
            holder[name] = "".join(filter(str.isprintable, holder[name])).strip() or "x"
        data["instance"] = None
        if "time" in each:
            each["time"] = "2024" + each["time"][4:]
    case.headers = dict(ATTRIBUTES) if case.media_type == BINARY else {}
    return case


@pytest.fixture(scope="module")
def url(redis_server: EmbeddedRedis) -> Iterator[str]:
    given = {"redis_url": redis_server.url, "login_keys": LOGIN_KEY, "http_events_secrets": f"crm={SECRET}"}
    with pytest.MonkeyPatch.context() as environment, served(Settings(**given, http_events_per_second=1e6)) as producer:
        # schemathesis' client heeds a proxy named in the environment; loopback must not go through one.
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield producer.url.removesuffix("/events")


def fits(case: Case[Any]) -> bool:
    """Whether a body is what its media type's schema asks for."""
    name = {STRUCTURED: "CloudEvent", BATCH: "Batch", BINARY: "LoginData"}[str(case.media_type)]
    document = yaml.safe_load(PATH.read_text())
    return bool(OAS31Validator(document | {"$ref": f"#/components/schemas/{name}"}).is_valid(case.body))


def test_every_event_that_fits_the_contract_is_recorded(url: str) -> None:
    statuses: Counter[tuple[str, int]] = Counter()

    @given(case=OPERATION.as_strategy(GenerationMode.POSITIVE).map(acceptable))
    @MANY
    def send(case: Case[Any]) -> None:
        answer = case.call_and_validate(base_url=url, auth=Signed(), excluded_checks=SIGNED_ANEW)
        statuses[str(case.media_type), answer.status_code] += 1

    send()
    assert set(statuses) == {(STRUCTURED, 202), (BATCH, 202), (BINARY, 202)}
    assert statuses.total() >= AT_LEAST


def test_whatever_is_not_signed_is_refused_as_the_contract_says(url: str) -> None:
    statuses: Counter[int] = Counter()

    @given(case=OPERATION.as_strategy(GenerationMode.NEGATIVE))
    @MANY
    def send(case: Case[Any]) -> None:
        statuses[case.call_and_validate(base_url=url, excluded_checks=[unsupported_method]).status_code] += 1

    send()
    assert set(statuses) <= {400, 401, 415}
    assert statuses.total() >= AT_LEAST


def test_what_is_signed_is_refused_as_the_contract_says_unless_its_body_fits(url: str) -> None:
    statuses: Counter[int] = Counter()

    @given(case=OPERATION.as_strategy(GenerationMode.NEGATIVE))
    @MANY
    def send(case: Case[Any]) -> None:
        answer = case.call(base_url=url, auth=Signed())
        statuses[answer.status_code] += 1
        case.validate_response(answer, excluded_checks=SIGNED_ANEW)
        assert answer.status_code != 202 or fits(case), case.body

    send()
    assert {400, 415, 422} <= set(statuses) <= {202, 400, 401, 413, 415, 422}
    assert statuses.total() >= AT_LEAST
