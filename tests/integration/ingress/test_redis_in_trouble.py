"""A Redis that is away or full: 503, when to come back, and nothing that was answered 202 is missing afterwards."""

import threading
from pathlib import Path

import pytest
from redis import Redis

from tests.http_events import SECRET, Producer, event
from tests.integration.ingress.conftest import served, tally
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis, OrphanGuard
from worker.errors import LedgerMismatch
from worker.ingress import recorder
from worker.ingress.opening import way_in
from worker.seal import new_key
from worker.settings import Settings


def settings_for(url: str, login_keys: str) -> Settings:
    secrets = f"crm={SECRET}"
    return Settings(redis_url=url, login_keys=login_keys, http_events_secrets=secrets, http_events_per_second=100_000)


def test_a_full_redis_refuses_a_batch_whole_and_takes_it_once_it_has_room(
    own_redis: EmbeddedRedis, login_keys: str
) -> None:
    batch = [event(id=f"evt-{number}", data={"loginId": f"login-{number}"}) for number in range(500)]
    with served(settings_for(own_redis.url, login_keys)) as producer, Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
        refused = producer.send(batch)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert tally(client) == {}
        client.config_set("maxmemory", 0)
        assert producer.send(batch).json() == {"results": ["recorded"] * 500}
        assert client.zcard("nightly:due:toolbox:live") == 500


def test_where_a_replica_must_have_it_202_says_that_it_does(
    tcp_server: EmbeddedRedis, tmp_path: Path, orphan_guard: OrphanGuard, login_keys: str
) -> None:
    with Redis.from_url(tcp_server.url) as primary:
        primary.flushall()
    settings = settings_for(tcp_server.url, login_keys).model_copy(update={"intake_replicas": 1})
    with (
        EmbeddedRedis(tmp_path, name="replica", guard=orphan_guard, takes_config=True) as replica,
        Redis.from_url(replica.url) as client,
        served(settings) as producer,
    ):
        client.config_set("masterauth", tcp_server.password)
        client.replicaof("127.0.0.1", tcp_server.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", seconds=20, describe="the link")
        assert producer.send([event(), event(id="evt-2")]).json() == {"results": ["recorded", "recorded"]}
        assert tally(client)["recorded"] == 2
        client.replicaof("no", "one")


def test_nothing_that_was_answered_202_is_lost_when_redis_is_killed_under_load(
    own_redis: EmbeddedRedis, login_keys: str
) -> None:
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

    with served(settings_for(own_redis.url, login_keys)) as producer:
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
        recorded = {client.hget(key, "a").decode() for key in client.scan_iter("nightly:login:*", count=1000)}
    assert set(accepted) <= recorded
    assert statuses == {202, 503}


def test_it_starts_without_redis_and_goes_on_by_itself(own_redis: EmbeddedRedis, login_keys: str) -> None:
    url = own_redis.url
    own_redis.kill()
    with served(settings_for(url, login_keys)) as producer:
        assert producer.send(event()).status_code == 503
        own_redis.start()
        eventually(lambda: producer.send(event()).status_code == 202, describe="an event")
        with Redis.from_url(url) as client:
            assert client.hget("nightly:meta", "reference_key")


def test_where_redis_was_not_reached_just_now_the_next_request_does_not_wait_for_it(
    own_redis: EmbeddedRedis, login_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "REST_SECONDS", 1000)
    with served(settings_for(own_redis.url, login_keys)) as producer, Redis.from_url(own_redis.url) as client:
        own_redis.kill()
        assert producer.send(event()).status_code == 503
        own_redis.start()
        assert producer.send(event()).status_code == 503, "it was asked"
        assert tally(client) == {}


def test_a_ledger_of_other_keys_is_never_written(own_redis: EmbeddedRedis, login_keys: str) -> None:
    url = own_redis.url
    with served(settings_for(url, login_keys)) as producer:
        assert producer.send(event()).status_code == 202
    with pytest.raises(LedgerMismatch):
        way_in(settings_for(url, new_key()))
    own_redis.kill()
    with served(settings_for(url, new_key())) as producer:  # Redis was away when it started
        own_redis.start()
        assert producer.send(event()).status_code == 503
    with Redis.from_url(url) as client:
        assert tally(client) == {"recorded": 1}
