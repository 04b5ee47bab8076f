"""Kombu's list of remote-control mailboxes on the broker names only live workers."""

from celery.utils.nodenames import gethostname

from tests.integration.celery_worker.conftest import Nightly
from tests.waiting import eventually

LIST = "_kombu.binding.celery.pidbox"
REPORTED = "nightly:mailboxes"


def entry(name: str) -> bytes:
    return f"\x06\x16\x06\x16{name}.celery.pidbox".encode()


def test_only_the_mailbox_of_a_worker_killed_long_ago_is_removed(nightly: Nightly) -> None:
    dead, alive = (entry(f"worker-{number}@{gethostname()}") for number in (1, 2))
    foreign, again = entry("celery@another-app"), entry("celery@another-app-that-was-silent")
    nightly.stack.start_worker().kill()
    nightly.redis.sadd(LIST, foreign, again)
    assert nightly.redis.smembers(LIST) == {dead, foreign, again}
    nightly.redis.zadd(REPORTED, {dead: 1})  # it was silent for more than an hour
    nightly.stack.start_worker()
    eventually(lambda: nightly.redis.smembers(LIST) == {alive, foreign, again}, describe="the dead one's removal")
    assert nightly.redis.zrange(REPORTED, 0, -1) == [alive]


def test_a_recently_killed_worker_keeps_its_mailbox(nightly: Nightly) -> None:
    nightly.stack.start_worker().kill()
    nightly.stack.start_worker()
    eventually(lambda: nightly.redis.zcard(REPORTED) == 2, describe="the report of the second")
    assert nightly.redis.scard(LIST) == 2


def test_a_warm_stop_leaves_no_mailbox(nightly: Nightly) -> None:
    worker = nightly.stack.start_worker()
    eventually(lambda: nightly.redis.zcard(REPORTED) == 1, describe="its report")
    assert nightly.stack.stop_process(worker) == 0
    assert not nightly.redis.exists(LIST, REPORTED, "unacked", "unacked_index", "_kombu.binding.reply.celery.pidbox")
