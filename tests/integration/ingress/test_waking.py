"""An event that came over HTTP is called at once, not at a worker's next pulse; its answer waits for none of that."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis import Redis

from emulator.remote import EmulatorControl
from tests.http_events import SECRET, Producer, event
from tests.integration.ingress.conftest import tally
from tests.integration.working.hooked import start_hooked
from tests.waiting import eventually
from worker.embedded import EmbeddedStack
from worker.embedded.readiness import listening_url
from worker.ledger.connection import connect
from worker.ledger.doorbell import KEY, Doorbell

ONE_PULSE_AN_HOUR = "background.PULSE_SECONDS = 3600"


def calls(emulator: EmulatorControl) -> int:
    return sum(map(len, emulator.state().values()))


def test_events_are_called_though_no_worker_pulses_by_itself(
    stack: EmbeddedStack, emulator: EmulatorControl, redis_client: Redis
) -> None:
    start_hooked(stack, ONE_PULSE_AN_HOUR, look_seconds=5)
    eventually(lambda: redis_client.exists("nightly:workers"), describe="the only pulse there is")
    stack.environment["HTTP_EVENTS_SECRETS"] = f"crm={SECRET}"
    del stack.environment["FLINKS_AUTH_KEY"]  # whoever takes events in does not call Flinks
    argv = [sys.executable, "-m", "worker", "review", "--port", "0"]
    producer = Producer(listening_url(stack.start_process("review", argv, ready=listening_url)) or "")
    assert producer.send(event()).json() == {"results": ["recorded"]}
    eventually(lambda: calls(emulator) == 1, seconds=20, describe="the call")
    eventually(lambda: not redis_client.zcard("nightly:reconcilers"), seconds=20, describe="an idle worker")

    crowd = [event(id=f"evt-{number}", data={"loginId": f"login-{number}"}) for number in range(30)]
    with ThreadPoolExecutor(8) as threads:
        assert {answer.status_code for answer in threads.map(producer.send, crowd)} == {202}
    eventually(lambda: calls(emulator) == 31, seconds=20, describe="the calls of a crowd")


def test_no_answer_waits_for_a_ring_and_all_that_came_during_one_that_failed_are_rung_for_together(
    producer: Producer, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    are_answered, rung = threading.Event(), []

    def stuck_then_broken(_: Doorbell) -> None:
        rung.append(are_answered.wait(20))
        raise redis.ConnectionError

    monkeypatch.setattr(Doorbell, "ring", stuck_then_broken)
    for number in range(5):
        assert producer.send(event(id=f"evt-{number}", data={"loginId": f"login-{number}"})).status_code == 202
    are_answered.set()
    eventually(lambda: len(rung) > 1, describe="the ring for those behind the first")
    assert producer.send(event(id="evt-5")).status_code == 202, "a failed ring refuses no event"
    eventually(lambda: len(rung) > 2, describe="the ring for the last")
    assert rung == [True, True, True]
    assert tally(redis_client)["recorded"] == 6


def test_only_what_was_new_rings_and_a_ring_that_nobody_hears_fades(producer: Producer, redis_client: Redis) -> None:
    assert producer.send([event(), event(id="evt-2", data={"loginId": "login-2"})]).status_code == 202
    eventually(lambda: redis_client.llen(KEY) == 1, describe="a ring")
    assert 0 < redis_client.pttl(KEY) <= 1000
    redis_client.delete(KEY)
    rung = redis_client.info("commandstats")["cmdstat_rpush"]["calls"]
    for _ in range(3):
        assert producer.send(event()).json() == {"results": ["duplicate"]}
    assert producer.send(event(id="evt-3", data={"loginId": "login-3"})).status_code == 202
    eventually(lambda: redis_client.exists(KEY), describe="the next ring")
    assert redis_client.info("commandstats")["cmdstat_rpush"]["calls"] == rung + 1


def test_many_rings_are_heard_once(redis_url: str, redis_client: Redis) -> None:
    with connect(redis_url) as client:
        bell = Doorbell(client)
        assert not bell.heard()
        for _ in range(100):
            bell.ring()
        assert [bell.heard(), bell.heard()] == [True, False]
        bell.ring()
        assert bell.heard()
    assert not redis_client.exists(KEY)
