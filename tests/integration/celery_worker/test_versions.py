"""A worker of an older version or of a sandbox ends on a Redis of others, and takes nothing."""

import json

import pytest

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually
from worker.celery_worker.bootsteps import EXIT_REFUSED
from worker.errors import EmbeddedStackError


def test_a_worker_older_than_the_ledger_ends_and_takes_no_event(nightly: Nightly) -> None:
    before, during = new_logins(2)
    old = nightly.stack.start_worker()
    nightly.send([cloud_event(before, on=True, minute=0)])
    nightly.comes_to_rest()
    nightly.redis.hset("nightly:meta", "schema", 99)  # as a newer worker does when it starts
    nightly.send([cloud_event(during, on=True, minute=0)])
    eventually(lambda: not old.is_running, seconds=30, describe="the end of the old worker")
    assert old.exit_code == EXIT_REFUSED
    told = [line for line in old.output().splitlines() if "ledger_refused" in line]
    assert "update this worker" in json.loads(told[0])["reason"]
    assert nightly.letters() == []
    assert nightly.redis.xlen("account-events:stream") == 1
    nightly.redis.hset("nightly:meta", "schema", 1)
    nightly.stack.start_worker()
    eventually(lambda: nightly.flags() == {before: True, during: True}, seconds=30, describe="both calls")


def test_a_sandbox_worker_on_a_production_ledger_ends_and_takes_no_event(nightly: Nightly) -> None:
    nightly.services.open_ledger()
    nightly.stack.environment["SANDBOX"] = "1"
    nightly.send([cloud_event(*new_logins(1), on=True, minute=0)])
    with pytest.raises(EmbeddedStackError, match=r"(?s)exit code 2.*ledger_refused.*begun in production"):
        nightly.stack.start_worker()
    assert nightly.redis.xlen("account-events:stream") == 1
    assert nightly.flags() == {}


def test_workers_keep_an_emptied_redis_until_a_sandbox_takes_it(
    nightly: Nightly,
) -> None:
    worker = nightly.stack.start_worker()
    nightly.redis.flushall()
    eventually(lambda: nightly.services.views.kind() == "production", seconds=10, describe="the mark of production")
    nightly.redis.hset("nightly:meta", "kind", "sandbox")  # as after an empty Redis that a sandbox reached first
    eventually(lambda: not worker.is_running, seconds=30, describe="the end of the worker")
    assert worker.exit_code == EXIT_REFUSED
    assert "begun as a sandbox" in worker.output()
