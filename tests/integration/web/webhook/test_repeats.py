"""Clients without a secret cost a producer nothing, and no producer costs another one anything."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis
from tests.http_events import OTHER_SECRET, STRUCTURED, Producer, event, signed
from tests.integration.web.webhook.conftest import Serve, served
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.events.channels import STREAM
from worker.web.webhook.acceptor import Acceptor
from worker.web.webhook.endpoint import EACH_AT_ONCE

REPEATED = 20


def overheard(document: object, **signing: Any) -> tuple[bytes, dict[str, str]]:
    """Return a request as an eavesdropper would record it."""
    body = json.dumps(document).encode()
    return body, {"content-type": STRUCTURED} | signed(body, **signing)


def post_again(producer: Producer, request: tuple[bytes, dict[str, str]], times: int = REPEATED) -> set[int]:
    return {producer.post(*request).status_code for _ in range(times)}


def test_a_producer_above_its_rate_does_not_reduce_the_rate_of_another_secret(serve: Serve) -> None:
    producer = serve(http_events_per_second=0.1)
    assert producer.send(event()).status_code == 202
    assert producer.send(event(id="evt-2")).status_code == 429
    assert producer.send(event(id="evt-3"), secret=OTHER_SECRET).status_code == 202


def test_hanging_requests_of_one_secret_take_no_thread_and_no_place_from_another(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They used to take every thread, and one place each of those that all secrets share."""
    accept, may_go_on = Acceptor.accept, threading.Event()

    def hang(acceptor: Acceptor, sender: str, *request: Any) -> int:
        assert sender == "old" or may_go_on.wait(timeout=60)
        return accept(acceptor, sender, *request)

    monkeypatch.setattr(Acceptor, "accept", hang)
    too_many = EACH_AT_ONCE + 10
    with ThreadPoolExecutor(too_many) as pool:
        sent = [pool.submit(producer.send, event(id=f"evt-{number}")) for number in range(too_many)]
        eventually(lambda: sum(one.done() for one in sent) == 10, seconds=30, describe="those without a place")
        other = producer.send(event(), secret=OTHER_SECRET)
        may_go_on.set()
    assert other.status_code == 202
    refused = [answer for one in sent if (answer := one.result()).status_code != 202]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(503, "busy")] * 10
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


def test_a_producer_above_its_rate_is_refused_before_its_events_are_read(serve: Serve) -> None:
    """Otherwise a faulty producer would keep the processor busy with requests that are refused."""
    producer = serve(http_events_per_second=0.1)
    assert producer.send([event(), event(), event()]).status_code == 202
    assert producer.send(event(time="noon")).status_code == 429


def test_a_repeated_request_gets_the_same_response_and_costs_no_rate(serve: Serve, redis_client: Redis) -> None:
    producer = serve(http_events_per_second=0.1)
    request = overheard(event())
    first = producer.post(*request)
    assert first.status_code == 202
    later: list[httpx.Response] = [producer.post(*request) for _ in range(REPEATED)]
    assert {(answer.status_code, answer.content) for answer in later} == {(202, first.content)}
    assert redis_client.xlen(STREAM) == 1, "a repetition costs Redis nothing"


def test_a_repeated_batch_does_not_use_up_the_rate_of_its_producer(serve: Serve) -> None:
    producer = serve(http_events_per_second=30)
    request = overheard(event())
    assert post_again(producer, request) == {202}
    assert post_again(producer, request) == {202}
    assert producer.send(event(id="evt-2")).status_code == 202


def test_a_repeated_invalid_request_costs_no_rate(serve: Serve) -> None:
    producer = serve(http_events_per_second=0.1)
    assert post_again(producer, overheard(event(time="noon"))) == {422}
    assert producer.send(event()).status_code == 202


def test_a_request_with_one_of_its_bytes_changed_is_no_repetition(producer: Producer, redis_client: Redis) -> None:
    body, headers = overheard(event())
    assert producer.post(body, headers).status_code == 202
    assert producer.post(body.replace(b"linked", b"inactive"), headers).status_code == 401
    assert producer.post(body, headers | {"webhook-id": "msg-2"}).status_code == 401
    assert redis_client.xlen(STREAM) == 1


def test_a_request_refused_because_redis_was_unavailable_is_stored_when_it_is_repeated(
    own_redis: EmbeddedRedis,
) -> None:
    secrets = f"crm={OTHER_SECRET}"
    request = overheard(event(), secret=OTHER_SECRET)
    with served(Settings(redis_url=own_redis.url, http_events_secrets=secrets)) as producer:
        own_redis.kill()
        assert producer.post(*request).status_code == 503
        own_redis.start()
        eventually(lambda: producer.post(*request).status_code == 202, describe="the event")
        own_redis.kill()
        assert producer.post(*request).status_code == 202, "Redis was asked about a repetition"
        own_redis.start()
    with Redis.from_url(own_redis.url) as client:
        assert client.xlen(STREAM) == 1
