"""The ACL rule that the guide advises is enough for a worker, a producer and every command; and it is needed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from redis import Redis

from tests.chaos.minimal_acl import minimal_acl
from tests.waiting import eventually
from worker.backfill.model import Row
from worker.embedded import EmbeddedRedis, EmbeddedStack, OrphanGuard
from worker.ledger.connection import connect
from worker.producer import publish
from worker.services import build_services

COMMANDS = (
    ["doctor"],
    ["status"],
    ["publish", "linked", "--login-id", "login-3"],
    ["dead-letters", "list"],
    ["gate", "close", "toolbox", "--reason", "acl"],
    ["gate", "open", "toolbox"],
    ["health"],
)


@pytest.fixture
def confined(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[tuple[Redis, str]]:
    """A Redis where Nightly is a user with the advised rights: the administrator's client, and Nightly's URL."""
    server = EmbeddedRedis(tmp_path, name="confined", guard=orphan_guard)
    with server, Redis(port=server.port or 0, decode_responses=True) as admin:
        for user in ("nightly", "producer"):
            admin.execute_command("ACL", "SETUSER", user, "on", ">word", *minimal_acl(user).split())
        yield admin, server.url.replace("//", "//nightly:word@")


def _refused(admin: Redis) -> set[tuple[str, str]]:
    """What Redis refused: newer redis-py asks for CLIENT MAINT_NOTIFICATIONS, and takes no for an answer."""
    log = admin.execute_command("ACL", "LOG")
    return {(entry["reason"], entry["object"]) for entry in log} - {("command", "client")}


def test_the_advised_user_works_and_is_refused_nothing(confined: tuple[Redis, str], tmp_path: Path) -> None:
    admin, url = confined
    with EmbeddedStack(tmp_path / "stack", isolated=True, overrides={"REDIS_URL": url}) as stack:
        with Celery(broker=url) as producer:
            kwargs = {"login_id": "login-1", "occurred_at": "2026-11-22T10:00:00Z"}
            producer.send_task("account.linked", kwargs=kwargs, queue="account-events")
            producer.send_task("account.linked", kwargs={"login_id": 2}, queue="account-events")
        eventually(lambda: admin.hget("nightly:tally:toolbox", "applied_on") == "1", seconds=20, describe="a call")
        services = build_services(stack.settings())
        backfill = services.backfills.create(instance="toolbox", wish="on", as_of_us=1)
        services.backfills.put_chunk(backfill.id, 0, [Row(2, "login-4")], "")
        services.backfills.commit(backfill.id, "digest")
        eventually(lambda: services.backfills.get(backfill.id).ended_at, seconds=20, describe="the end of a backfill")
        services.redis.close()
        for command in COMMANDS:
            argv = [sys.executable, "-m", "worker", *command]
            done = subprocess.run(argv, env=stack.environment, cwd=stack.folder, capture_output=True, check=False)
            assert done.returncode == 0, (command, done.stdout.decode())
        eventually(lambda: admin.hget("nightly:tally", "rejected") == "1", seconds=20, describe="a letter")
    assert _refused(admin) == set()


def test_the_advised_user_may_not_touch_what_is_not_nightly_s(confined: tuple[Redis, str]) -> None:
    _, url = confined
    with Redis.from_url(url) as nightly:
        for command in ("GET other", "SET other 1", "FLUSHALL", "KEYS *", "CONFIG SET save ''", "SHUTDOWN", "ACL LIST"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                nightly.execute_command(*command.split())


def test_the_advised_producer_may_publish_and_read_nothing(confined: tuple[Redis, str]) -> None:
    admin, url = confined
    with connect(url.replace("nightly:", "producer:")) as producer:
        publish("linked", login_id="login-1", client=producer)
        assert admin.xlen("account-events:stream") == 1
        assert _refused(admin) == set()
        for command in ("XRANGE account-events:stream - +", "LPUSH account-events x", "GET nightly:meta", "INFO"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                producer.execute_command(*command.split())
