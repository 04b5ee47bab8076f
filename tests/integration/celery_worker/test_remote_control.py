"""Remote control answers inspect requests; nothing published there stops or changes a worker."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.bombs import PEAK_MIB, bombs, peak_mib
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.integration.celery_worker.test_foreign_messages import DEEP, envelope
from tests.places import ROOT
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.celery_worker.remote_control import PER_SECOND

CHANNEL = "/0.celery.pidbox"
CHANGES: dict[str, dict[str, Any]] = {
    "cancel_consumer": {"queue": "refresh"},
    "add_consumer": {"queue": "theirs"},
    "pool_shrink": {"n": 2},
    "pool_grow": {"n": 50},
    "pool_restart": {},
    "autoscale": {"max": 1, "min": 0},
    "rate_limit": {"task_name": "refresh.reconcile", "rate_limit": "1/h"},
    "time_limit": {"task_name": "refresh.reconcile", "hard": 0.001, "soft": 0.001},
    "revoke": {"task_id": ["one"], "terminate": True},
    "revoke_by_stamped_headers": {"headers": {"a": "b"}},
    "terminate": {"signal": "KILL", "task_id": ["one"]},
    "election": {"id": "one", "topic": "task", "action": None},
    "hello": {"from_node": "theirs", "revoked": {"one": 1}},
    "heartbeat": {},
    "shutdown": {},
    "conf": {},
    "dump_conf": {},
    "report": {},
    "objgraph": {},
    "memsample": {},
    "memdump": {},
}
FOREIGN: dict[str, bytes] = {
    "a number": b"17",
    "an array": b"[]",
    "an empty object": b"{}",
    "no JSON": b"{",
    "no UTF-8": b"\xff",
    "nested deeply": DEEP.encode(),
    "a value that kombu's decoder trips over": b'{"__type__": "decimal", "__value__": "x"}',
    "properties that are a number": b'{"body": "", "properties": 5}',
    "megabytes": b'{"body": "' + b"x" * 3_000_000 + b'"}',
}
BODIES: dict[str, Any] = {
    "a number": 17,
    "a text": "shutdown",
    "nothing": None,
    "no method": {},
    "a method that is a list": {"method": []},
    "arguments that are a list": {"method": "ping", "arguments": [1]},
    "arguments that no question has": {"method": "ping", "arguments": {"x": 1, "state": 2}},
    "a destination that is a number": {"method": "ping", "destination": 5},
    "a regular expression of any cost": {"method": "ping", "pattern": "(.*)*" * 8 + "!", "matcher": "pcre"},
    "an answer to nowhere": {"method": "ping", "reply_to": {"exchange": "celery.reply"}},
}


@pytest.fixture
def producer(nightly: Nightly) -> Iterator[Celery]:
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as app:
        yield app


def control_message(body: Any, headers: dict[str, Any] | None = None, **parts: Any) -> bytes:
    item = envelope(body, queue="", headers=headers or {}, **parts)
    return json.dumps(item).encode()


def ask(producer: Celery, name: str, arguments: dict[str, Any] | None = None) -> Any:
    """Return the reply of the only worker as soon as it comes."""
    (reply,) = producer.control.broadcast(name, arguments, reply=True, timeout=10, limit=1)
    (answer,) = reply.values()
    return answer


def celery_with_only_a_broker(nightly: Nightly, *arguments: str) -> str:
    """Run one of Celery's commands without LOGIN_KEYS, Flinks' key and REDIS_URL; returns its output."""
    settings = {"BROKER_URL": nightly.stack.environment["REDIS_URL"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "celery", "-A", "worker", *arguments]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def still_works(nightly: Nightly, producer: Celery) -> None:
    login = new_logins(1)[0]
    nightly.send([cloud_event(login, on=True, minute=0)])
    eventually(lambda: nightly.flags().get(login), seconds=20, describe="the call after all that")
    assert {queue["name"] for queue in ask(producer, "active_queues")} == {
        "account-events",
        "refresh",
        "backfill",
    }
    assert nightly.letters() == []


def test_control_commands_are_ignored_and_inspect_commands_are_answered(nightly: Nightly, producer: Celery) -> None:
    worker = nightly.stack.start_worker()
    children = worker.children()
    for name, arguments in CHANGES.items():
        assert "remote control is off" in ask(producer, name, arguments)["error"], name
    still_works(nightly, producer)
    assert worker.children() == children
    for name in ("ping", "active", "reserved", "scheduled", "revoked", "registered", "stats", "clock"):
        assert "error" not in ask(producer, name), name
    stats = ask(producer, "stats")
    assert "broker" not in stats
    assert stats["readers"] == ["account-events:stream", "account-events"]
    assert stats["total"]["account.linked"] == 1
    for name in ("enable_events", "disable_events"):
        assert "remote control is off" not in repr(ask(producer, name))
    asked = celery_with_only_a_broker(nightly, "inspect", "active_queues", "--json")
    (queues,) = json.loads(asked).values()
    assert len(queues) == 3
    assert "broker_url: 'redis" in celery_with_only_a_broker(nightly, "report")


def test_no_published_control_message_stops_a_worker_or_sends_a_reply_to_a_list_that_it_names(
    nightly: Nightly, producer: Celery
) -> None:
    worker = nightly.stack.start_worker()
    to_lists = [
        control_message({"method": "ping", "reply_to": {"exchange": exchange, "routing_key": key}, "ticket": "one"})
        for exchange in ("", "account-events", "refresh", "celery.pidbox")
        for key in ("account-events", "refresh", "theirs")
    ]
    bodies = [control_message(body) for body in BODIES.values()]
    bodies.append(control_message({"method": "ping"}, {"clock": "x"}))
    bodies.append(control_message({"method": "ping"}, {"clock": 10**30}))
    for body, marks in bombs().values():
        headers = marks if "compression" in marks else {}
        bodies.append(control_message(base64.b64encode(body).decode(), headers, **(marks if not headers else {})))
    for message in (*to_lists, *FOREIGN.values(), *bodies):
        nightly.redis.publish(CHANNEL, message)
    still_works(nightly, producer)
    assert worker.is_running
    assert peak_mib(worker) < PEAK_MIB
    assert not nightly.redis.exists("theirs")


def test_a_flood_of_inspect_requests_is_answered_in_part_and_delays_no_call(nightly: Nightly, producer: Celery) -> None:
    worker = nightly.stack.start_worker()
    flood = [control_message({"method": "stats", "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "x"}})]
    nightly.redis.sadd("_kombu.binding.reply.celery.pidbox", "x\x06\x16\x06\x16answers")
    began = time.monotonic()
    with nightly.redis.pipeline(transaction=False) as pipeline:
        for message in flood * 3000:
            pipeline.publish(CHANNEL, message)
        pipeline.execute()
    login = new_logins(1)[0]
    nightly.send([cloud_event(login, on=True, minute=0)])
    eventually(lambda: nightly.flags().get(login), seconds=20, describe="the call during the flood")
    eventually(lambda: "remote_control_refused" in worker.output(), seconds=20, describe="a line about it")
    eventually(lambda: producer.control.inspect(timeout=1).ping(), seconds=30, describe="an answer when it is over")
    assert nightly.redis.llen("answers") <= PER_SECOND * (time.monotonic() - began + 2)
    assert worker.output().count("remote_control_refused") == 1


LEFT = """
from celery import signals
@signals.worker_ready.connect(weak=False)
def leave(sender, **_):
    sender.call_soon(sender.cancel_task_queue, "refresh")
"""


def test_a_queue_that_a_worker_stopped_consuming_is_consumed_again(nightly: Nightly) -> None:
    worker = start_hooked(nightly.stack, LEFT)
    eventually(lambda: '"queue_not_consumed"' in worker.output(), describe="that it is noticed")
    login = new_logins(1)[0]
    nightly.send([cloud_event(login, on=True, minute=0)])
    eventually(lambda: nightly.flags() == {login: True}, describe="the call")
    assert worker.is_running
