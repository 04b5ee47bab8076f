"""Events over real HTTP onto a real stream: the responses, and the entries for the workers."""

import json
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.http_events import BATCH, BINARY, LOGIN, OTHER_SECRET, STRUCTURED, Producer, binary_headers, event, signed
from tests.integration.web.webhook.conftest import Serve, entries, events
from tests.ledger_calls import list_letters
from worker.config.settings import Settings
from worker.events import publisher as producer_module
from worker.events.channels import STREAM
from worker.ledger import Ledger, Letters
from worker.redis_client.connect import connect
from worker.services import build_intake
from worker.vault.vault import Vault
from worker.web.webhook import endpoint

DATA = json.dumps(event()["data"]).encode()


def accepted(answer: httpx.Response) -> int:
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"accepted"}
    count: int = answer.json()["accepted"]
    return count


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert LOGIN not in answer.text
    return document


def is_nothing_stored(client: Redis) -> bool:
    return not client.keys("*")


def test_events_of_every_mode_are_added_to_the_stream(producer: Producer, redis_client: Redis) -> None:
    assert accepted(producer.send(event())) == 1
    assert accepted(producer.send([event(), event(id="evt-0")])) == 2
    assert accepted(producer.send_binary(binary_headers(event()), DATA)) == 1
    whole = event() | {"datacontenttype": "application/json"}
    assert entries(redis_client) == [event(), [event(), event(id="evt-0")], whole]


def test_an_event_that_was_sent_several_times_is_recorded_once(
    producer: Producer, redis_client: Redis, redis_url: str, vault: Vault
) -> None:
    older = event(id="evt-0", time="2026-11-22T09:00:00Z")
    for number, sent in enumerate((event(), event(), [event(), older])):
        accepted(producer.send(sent, message_id=f"msg-{number}"))
    accepted(producer.send_binary(binary_headers(event()), DATA))
    with connect(redis_url) as client:
        intake = build_intake(Settings(), Ledger(client), Letters(client), vault)
        assert intake.accept_bodies([fields[b"event"] for _, fields in client.xrange(STREAM)])
    tally = redis_client.hgetall("nightly:tally:toolbox")
    assert tally == {b"recorded": b"5", b"duplicate": b"3", b"superseded": b"1"}


def test_only_fields_of_the_contract_are_added_to_the_stream(producer: Producer, redis_client: Redis) -> None:
    assert accepted(producer.send(event(subject="cust-42", traceparent=LOGIN, comment="x" * 1000))) == 1
    assert events(redis_client) == [event(subject="cust-42")]


def test_a_secret_that_is_being_replaced_still_works(producer: Producer) -> None:
    assert accepted(producer.send(event(), secret=OTHER_SECRET)) == 1


def test_an_unsigned_or_altered_request_is_refused(producer: Producer, redis_client: Redis) -> None:
    body = json.dumps(event()).encode()
    unsigned = problem(producer.post(body, {"content-type": STRUCTURED}), 401)
    assert unsigned["detail"] == "webhook-id: is required exactly once"
    altered = producer.post(body.replace(b"linked", b"inactive"), {"content-type": STRUCTURED} | signed(body))
    assert problem(altered, 401)["code"] == "signature"
    assert altered.headers["www-authenticate"]
    assert "webhook-timestamp" in problem(producer.send(event(), at=1_700_000_000), 401)["detail"]
    assert is_nothing_stored(redis_client)


@pytest.mark.parametrize(
    "changed",
    [
        {"ce_type": "account.inactive"},
        {"ce_time": "2026-11-22T11:00:00Z"},
        {"ce_id": "evt-2"},
        {"ce_more": "x"},
        {"content_type": STRUCTURED},
    ],
)
def test_no_attribute_of_a_signed_binary_event_can_be_changed(
    producer: Producer, redis_client: Redis, changed: dict[str, str]
) -> None:
    assert problem(producer.send_binary(binary_headers(event()), DATA, **changed), 401)["code"] == "signature"
    assert is_nothing_stored(redis_client)


def test_a_body_signed_as_a_batch_is_no_binary_event(producer: Producer) -> None:
    headers = {"content-type": BINARY} | signed(DATA) | binary_headers(event())
    assert problem(producer.post(DATA, headers), 401)["code"] == "signature"


def test_one_invalid_event_refuses_its_batch_and_the_corrected_batch_is_accepted(
    producer: Producer, redis_client: Redis
) -> None:
    batch = [event(), event(time=LOGIN), event(id="evt-3", data={"loginId": LOGIN, LOGIN: 1})]
    refused = problem(producer.send(batch), 422)
    assert refused["errors"] == [
        {
            "index": 1,
            "code": "invalid_event",
            "fields": [{"field": "time", "reason": "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"}],
        },
        {
            "index": 2,
            "code": "invalid_event",
            "fields": [{"field": "data.(another field)", "reason": "is not a field of this event"}],
        },
    ]
    assert is_nothing_stored(redis_client)
    batch[1:] = [event(id="evt-2"), event(id="evt-3", data={"loginId": "login-3"})]
    assert accepted(producer.send(batch)) == 3


def test_an_event_dated_too_far_ahead_is_refused_at_once(producer: Producer, redis_client: Redis) -> None:
    ahead = problem(producer.send([event(), event(time="2099-01-01T00:00:00Z")]), 422)
    assert ahead["errors"][0]["index"] == 1
    assert ahead["errors"][0]["fields"] == [{"field": "time", "reason": "lies more than 3600 s in the future"}]
    assert is_nothing_stored(redis_client)


def test_an_event_for_an_unknown_instance_is_accepted_and_left_to_the_workers(
    producer: Producer, redis_client: Redis, redis_url: str, vault: Vault
) -> None:
    accepted(producer.send(event(data={"loginId": LOGIN, "instance": "nowhere"})))
    with connect(redis_url) as client:
        letters = Letters(client)
        intake = build_intake(Settings(), Ledger(client), letters, vault)
        assert not intake.accept_bodies([fields[b"event"] for _, fields in redis_client.xrange(STREAM)])
        assert [letter.code for letter in list_letters(letters)] == ["unknown_instance"]


@pytest.mark.parametrize(
    ("body", "media_type", "reason"),
    [
        (b"{", STRUCTURED, "is not JSON"),
        (b"", STRUCTURED, "is not JSON"),
        (b"{}", BATCH, "must be an array of events"),
        (b"[]", BATCH, "is an empty array"),
        (b"[" * 500_000, STRUCTURED, "is not JSON"),
        (b"\xff\x00", BATCH, "is not JSON"),
    ],
)
def test_garbage_is_refused_with_a_reason(producer: Producer, body: bytes, media_type: str, reason: str) -> None:
    refused = problem(producer.send(body, media_type=media_type), 400)
    assert refused["errors"] == [{"code": "invalid_event", "fields": [{"field": "body", "reason": reason}]}]


def test_unsupported_media_types_are_named(producer: Producer) -> None:
    for media_type in ("text/plain", "application/json", "application/cloudevents+xml"):
        refused = producer.send(event(), media_type=media_type)
        assert STRUCTURED in problem(refused, 415)["detail"]


def test_a_second_media_type_or_encoding_is_refused(producer: Producer) -> None:
    body = json.dumps(event()).encode()
    headers = [("content-type", STRUCTURED), *signed(body).items()]
    for more in (("content-type", "text/plain"), ("content-encoding", "gzip")):
        both = [*headers, ("content-encoding", "identity"), more]
        assert (
            problem(httpx.post(producer.url, content=body, headers=both, trust_env=False), 415)["code"] == "media_type"
        )


def test_a_body_or_a_batch_that_is_too_large_is_refused(producer: Producer) -> None:
    for size in (1_048_577, 10_000_000, 40_000_000):
        refused = problem(producer.send(b" " * size), 413)
        assert refused["detail"] == "body: larger than 1048576 bytes"
    many = [event(id=f"evt-{number}") for number in range(501)]
    assert problem(producer.send(many), 413)["detail"] == "body: holds more than 500 events"
    assert accepted(producer.send(many[:500])) == 500


def test_other_methods_are_refused_and_the_page_stays_closed(producer: Producer) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        refused = httpx.request(method, producer.url, trust_env=False)
        assert problem(refused, 405)["code"] == "method"
        assert refused.headers["allow"] == "POST"
    page = httpx.get(producer.url.removesuffix("/events"), trust_env=False)
    assert page.status_code == 401
    for answer in (page, producer.send(event())):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"


def test_without_a_secret_http_is_closed(serve: Serve) -> None:
    assert problem(serve(http_events_secrets=None).send(event()), 404)["code"] == "closed"


def test_a_request_above_the_rate_is_answered_with_retry_after(serve: Serve, redis_client: Redis) -> None:
    producer = serve(http_events_per_second=0.1)
    assert accepted(producer.send([event(), event()])) == 2
    refused = producer.send(event())
    assert problem(refused, 429)["code"] == "too_many"
    assert 10 <= int(refused.headers["retry-after"]) <= 20
    assert len(events(redis_client)) == 2


def test_a_bug_is_a_plain_500(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "verify", lambda *_, **__: 1 / 0)
    assert problem(producer.send(event()), 500)["code"] == "broken"


def test_an_event_that_no_replica_has_is_not_accepted_although_the_stream_has_it(
    serve: Serve, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer_module, "REPLICAS_WITHIN_MS", 50)
    refused = serve(intake_replicas=1).send(event())
    assert problem(refused, 503)["code"] == "not_replicated"
    assert refused.headers["retry-after"]
    assert events(redis_client) == [event()]
