"""The events accepted over HTTP, and the fields that reach the stream."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http_events import LOGIN, event
from worker.events.contract import Requirements
from worker.vault.sealed_box import OpeningKeys
from worker.web.webhook.judge import Judge
from worker.web.webhook.problems import Refused

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SEALED = event(data={"sealedLoginId": OpeningKeys([b"k" * 32]).public[0].seal(LOGIN)})


def judge(*documents: object, seals: bool = False, requires_sealed: bool = False) -> list[Any]:
    rules = Judge(Requirements(max_ahead_seconds=3600, require_sealed=requires_sealed), seals=seals)
    return list(rules.judge(documents, now=NOW))


def fields(*documents: object, **options: bool) -> list[tuple[int, str]]:
    """Return the position of each invalid event, and its first invalid field."""
    with pytest.raises(Refused) as caught:
        judge(*documents, **options)
    assert LOGIN not in str(caught.value.errors) + caught.value.detail
    return [(error["index"], error["fields"][0]["field"]) for error in caught.value.errors]


def test_an_event_keeps_the_fields_of_the_contract_and_loses_all_others() -> None:
    assert judge(event(subject="cust-42", comment=LOGIN), SEALED) == [event(subject="cust-42"), SEALED]


def test_each_wrong_event_is_named_and_none_is_accepted() -> None:
    ahead = event(time=(NOW + timedelta(seconds=3601)).isoformat())
    assert fields(event(), event(time="noon"), ahead) == [(1, "time"), (2, "time")]
    assert judge(event(time=(NOW + timedelta(seconds=3600)).isoformat()))


@pytest.mark.parametrize("name", ["id", "source", "subject"])
def test_a_login_that_is_to_be_sealed_must_not_be_in_another_field(name: str) -> None:
    assert judge(event(**{name: f"link-{LOGIN}"}))
    assert fields(event(**{name: f"link-{LOGIN.upper()}"}), seals=True) == [(0, name)]
    assert judge(event(subject="cust-42"), SEALED, seals=True)


def test_a_login_in_clear_is_refused_where_it_must_arrive_sealed() -> None:
    assert fields(event(), SEALED, requires_sealed=True) == [(0, "data.loginId")]
    assert judge(event(), SEALED, requires_sealed=True, seals=True)
