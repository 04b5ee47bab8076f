"""The real application on a real Redis against docs/openapi.yaml, judged by schemathesis; every request is signed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

from sandbox.stack import EmbeddedRedis
from tests.http_contract import OPERATION, SIGNED_ANEW, UNSIGNED, Signed, acceptable, fits
from tests.http_events import BATCH, BINARY, SECRET, STRUCTURED
from tests.integration.web.webhook.conftest import served
from worker.config.settings import Settings

MANY = settings(
    max_examples=35,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
AT_LEAST = 25


@pytest.fixture(scope="module")
def url(redis_server: EmbeddedRedis) -> Iterator[str]:
    given = {"redis_url": redis_server.url, "http_events_secrets": f"crm={SECRET}"}
    with pytest.MonkeyPatch.context() as environment, served(Settings(**given, http_events_per_second=1e6)) as producer:
        # schemathesis' client heeds a proxy named in the environment; loopback must not go through one.
        environment.setenv("NO_PROXY", "127.0.0.1")
        yield producer.url.removesuffix("/events")


def test_every_event_that_fits_the_contract_is_accepted(url: str) -> None:
    statuses: Counter[tuple[str, int]] = Counter()

    @given(case=OPERATION.as_strategy(GenerationMode.POSITIVE).map(acceptable))
    @MANY
    def send(case: Case[Any]) -> None:
        answer = case.call_and_validate(base_url=url, auth=Signed(), excluded_checks=SIGNED_ANEW)
        statuses[str(case.media_type), answer.status_code] += 1

    send()
    assert set(statuses) == {(STRUCTURED, 202), (BATCH, 202), (BINARY, 202)}
    assert statuses.total() >= AT_LEAST


def test_an_unsigned_request_gets_the_documented_error(url: str) -> None:
    statuses: Counter[int] = Counter()

    @given(case=OPERATION.as_strategy(GenerationMode.NEGATIVE))
    @MANY
    def send(case: Case[Any]) -> None:
        statuses[case.call_and_validate(base_url=url, excluded_checks=UNSIGNED).status_code] += 1

    send()
    assert set(statuses) <= {400, 401, 415}
    assert statuses.total() >= AT_LEAST


def test_a_signed_request_gets_the_documented_error_unless_its_body_fits(url: str) -> None:
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
