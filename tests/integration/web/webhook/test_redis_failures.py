"""Redis unavailable or full: the response is 503 with Retry-After, and no event answered 202 is lost."""

import threading
from pathlib import Path

import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.http_events import SECRET, Producer, event
from tests.integration.web.webhook.conftest import events, served
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.events.channels import STREAM
from worker.web.webhook import appender as appending


def settings_for(url: str) -> Settings:
    secrets = f"crm={SECRET}"
    return Settings(redis_url=url, http_events_secrets=secrets, http_events_per_second=100_000)


def test_a_full_redis_refuses_a_batch_whole_and_takes_it_once_it_has_room(own_redis: EmbeddedRedis) -> None:
    batch = [event(id=f"evt-{number}", data={"loginId": f"login-{number}"}) for number in range(500)]
    with served(settings_for(own_redis.url)) as producer, Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
        refused = producer.send(batch)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert not client.exists(STREAM)
        client.config_set("maxmemory", 0)
        assert producer.send(batch).json() == {"accepted": 500}
        assert events(client) == batch


def test_where_a_replica_is_required_202_means_that_it_has_the_event(
    tcp_server: EmbeddedRedis, tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    with Redis.from_url(tcp_server.url) as primary:
        primary.flushall()
    settings = settings_for(tcp_server.url).model_copy(update={"intake_replicas": 1})
    with (
        EmbeddedRedis(tmp_path, name="replica", guard=orphan_guard, takes_config=True) as replica,
        Redis.from_url(replica.url) as client,
        served(settings) as producer,
    ):
        client.config_set("masterauth", tcp_server.password)
        client.replicaof("127.0.0.1", tcp_server.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", seconds=20, describe="the link")
        assert producer.send([event(), event(id="evt-2")]).json() == {"accepted": 2}
        assert len(events(client)) == 2
        client.replicaof("no", "one")


def test_no_event_answered_202_is_lost_when_redis_is_killed_under_load(own_redis: EmbeddedRedis) -> None:
    accepted: list[str] = []
    statuses: set[int] = set()
    is_over = threading.Event()

    def send_all(producer: Producer, sender: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            account = f"cust-{sender}-{number}"
            answer = producer.send(event(id=account, subject=account, data={"loginId": f"login-{sender}-{number}"}))
            statuses.add(answer.status_code)
            if answer.status_code == 202:
                accepted.append(account)
            else:
                assert int(answer.headers["retry-after"]) >= 1

    with served(settings_for(own_redis.url)) as producer:
        senders = [threading.Thread(target=send_all, args=(producer, sender)) for sender in range(4)]
        for sender in senders:
            sender.start()
        eventually(lambda: len(accepted) > 40, describe="events before")
        own_redis.kill()
        eventually(lambda: 503 in statuses, describe="a refusal")
        before = len(accepted)
        own_redis.start()
        eventually(lambda: len(accepted) > before + 40, describe="events afterwards")
        is_over.set()
        for sender in senders:
            sender.join()
    with Redis.from_url(own_redis.url) as client:
        stored = {one["subject"] for one in events(client)}
    assert set(accepted) <= stored
    assert statuses == {202, 503}


def test_http_starts_without_redis_and_recovers_by_itself(own_redis: EmbeddedRedis) -> None:
    url = own_redis.url
    own_redis.kill()
    with served(settings_for(url)) as producer:
        assert producer.send(event()).status_code == 503
        own_redis.start()
        eventually(lambda: producer.send(event()).status_code == 202, describe="an event")


def test_after_a_failed_attempt_to_reach_redis_the_next_request_does_not_wait_for_it(
    own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "REST_SECONDS", 1000)
    with served(settings_for(own_redis.url)) as producer, Redis.from_url(own_redis.url) as client:
        own_redis.kill()
        assert producer.send(event()).status_code == 503
        own_redis.start()
        assert producer.send(event()).status_code == 503, "it was asked"
        assert not client.exists(STREAM)


def test_a_stream_that_was_closed_by_the_largest_id_refuses_events_and_loses_none(own_redis: EmbeddedRedis) -> None:
    with served(settings_for(own_redis.url)) as producer, Redis.from_url(own_redis.url) as client:
        client.xadd(STREAM, {"event": "x"}, id="18446744073709551615-18446744073709551615")
        refused = producer.send(event())
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        client.delete(STREAM)
        assert producer.send(event()).status_code == 202


def test_a_primary_that_became_a_replica_refuses_events_until_it_is_one_again(own_redis: EmbeddedRedis) -> None:
    with served(settings_for(own_redis.url)) as producer, Redis.from_url(own_redis.url) as client:
        assert producer.send(event()).status_code == 202
        client.replicaof("127.0.0.1", 1)
        assert producer.send(event(id="evt-2")).status_code == 503
        client.replicaof("no", "one")
        assert producer.send(event(id="evt-2")).status_code == 202


def test_http_needs_only_the_right_to_append_to_the_stream(own_redis: EmbeddedRedis) -> None:
    with Redis.from_url(own_redis.url) as client:
        rights = ["+@connection", "-@dangerous", "-@admin", "+client|setname", "+xadd", "+wait"]
        client.acl_setuser("web", enabled=True, passwords=["+web"], keys=[STREAM], commands=rights)
    url = own_redis.url.replace("redis://", "redis://web:web@")
    with served(settings_for(url)) as producer:
        assert producer.send([event(), event(id="evt-2")]).status_code == 202
