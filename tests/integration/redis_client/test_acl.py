"""The ACL rules in the guide are sufficient for a worker, a producer and every command, and they are needed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from redis import Redis

from sandbox.stack import EmbeddedRedis, EmbeddedStack, OrphanGuard
from tests.chaos.minimal_acl import GUIDE, minimal_acl_parts
from tests.integration.command import Command
from tests.people import ANN
from tests.places import ROOT
from tests.waiting import eventually
from worker.backfill.models import Row
from worker.broker.celery_config import kombu_address
from worker.events.publisher import publish
from worker.redis_client.connect import connect
from worker.services import build_services

COMMANDS = (
    ["doctor"],
    ["status"],
    ["publish", "linked", "--login-id", "login-3"],
    ["explain", "login-1"],
    ["dead-letters", "list"],
    ["dead-letters", "groups"],
    ["dead-letters", "export"],
    ["dead-letters", "replay", "--code", "INVALID_LOGIN"],
    ["dead-letters", "acknowledge", "invalid_event"],
    ["dead-letters", "resolve", "--code", "invalid_event", "--note", "acl"],
    ["audit-log", "list"],
    ["audit-log", "verify"],
    ["audit-log", "export"],
    ["backfill", "list"],
    ["backfill", "start", "--from-ledger", "--where", "wish=on", "--dry-run"],
    ["gate", "close", "toolbox", "--reason", "acl"],
    ["gate", "open", "toolbox"],
    ["gate", "show", "toolbox"],
    ["health"],
)
USERS = ("nightly", "producer", "celery-producer")
ADMINISTRATION = (
    "CONFIG GET requirepass",
    "CONFIG GET masterauth",
    "CONFIG SET dir /",
    "CONFIG REWRITE",
    "ACL GETUSER default",
    "ACL SETUSER nightly allcommands",
    "ACL LIST",
    "ACL LOG",
    "MODULE LOAD /x.so",
    "DEBUG SLEEP 0",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF 127.0.0.1 1",
    "PSYNC ? -1",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "SHUTDOWN",
    "MONITOR",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "SWAPDB 0 1",
    "MIGRATE 127.0.0.1 1 nightly:meta 0 1",
    "DUMP nightly:meta",
    "RESTORE nightly:x 0 x",
    "MOVE nightly:meta 1",
    "COPY nightly:meta nightly:x",
    "RENAME nightly:meta nightly:x",
    "SORT nightly:meta",
    "OBJECT ENCODING nightly:meta",
    "XTRIM account-events:stream MAXLEN 0",
    "XSETID account-events:stream 1-1",
    "SLOWLOG GET",
    "LATENCY LATEST",
    "PUBLISH other x",
    "SUBSCRIBE other",
    "GET other",
    "SET other 1",
)
NOT_ALLOWED = (
    r"(?i)no permission|can't run this command|executing the script can't|command (is )?not allowed|ACL failure"
)
"""For MODULE and DEBUG newer servers check a setting before the ACL."""


@pytest.fixture
def confined(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[tuple[Redis, str]]:
    """A Redis with the users of the guide: the administrator's client, and Nightly's URL."""
    server = EmbeddedRedis(tmp_path, name="confined", guard=orphan_guard, takes_config=True)
    with server, Redis.from_url(server.url, decode_responses=True) as admin:
        for user in USERS:
            rule = minimal_acl_parts(user, has_selectors=has_selectors(admin))
            admin.execute_command("ACL", "SETUSER", user, "on", ">word", *rule)
        yield admin, server.url.replace("//", "//nightly:word@")


def has_selectors(client: Redis) -> bool:
    return int(client.info("server")["redis_version"].split(".")[0]) >= 7


def send(url: str, *, login_id: object, **options: int) -> None:
    """Send an event as a Celery message."""
    with Celery(broker=kombu_address(url)[0]) as sender:
        kwargs = {"login_id": login_id, "occurred_at": "2026-11-22T10:00:00Z"}
        sender.send_task("account.linked", kwargs=kwargs, queue="account-events", **options)


def _refused(admin: Redis) -> set[tuple[str, str]]:
    """The commands that Redis refused, without CLIENT MAINT_NOTIFICATIONS, which newer redis-py tries and may be
    refused.
    """
    log = admin.execute_command("ACL", "LOG", "1000")
    return {(entry["reason"], entry["object"].partition("|")[0]) for entry in log} - {("command", "client")}


def test_a_worker_as_the_advised_user_takes_the_messages_of_both_users_and_is_never_refused(
    confined: tuple[Redis, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    admin, url = confined
    nightly = Command(capfd)
    send(url.replace("nightly:", "celery-producer:"), login_id="login-2")
    with EmbeddedStack(tmp_path / "stack", isolated=True, overrides={"REDIS_URL": url, "SANDBOX": "1"}) as stack:
        send(url, login_id="login-1")
        send(url, login_id=2)
        eventually(lambda: admin.hget("nightly:tally:toolbox", "applied_on") == "2", seconds=20, describe="both calls")
        services = build_services(stack.settings())
        backfill = services.backfills.create(instance="toolbox", wish="on", as_of_us=1)
        services.backfills.put_chunk(backfill.id, 0, [Row(2, "login-4")], "")
        services.backfills.commit(backfill.id, "digest", by=ANN)
        eventually(lambda: services.backfills.get(backfill.id).ended_at, seconds=20, describe="the end of a backfill")
        services.redis.close()
        eventually(lambda: admin.hget("nightly:tally", "rejected") == "1", seconds=20, describe="a letter")
        for command in COMMANDS:
            done = nightly(*command, **stack.environment)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert _refused(admin) == {("command", "config")}, "the doctor's one question that INFO does not answer"


def test_the_doctor_names_the_facts_that_the_advised_user_may_not_read(
    confined: tuple[Redis, str], login_keys: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _, url = confined
    done = Command(capfd, never_shown="canary")("doctor", "--json", REDIS_URL=url, LOGIN_KEYS=login_keys)
    checks = {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}
    assert checks["persistence"]["level"] == "unknown"
    assert "everysec or always" in checks["persistence"]["advice"]
    assert checks["eviction"]["level"] == "ok"


@pytest.mark.parametrize("user", USERS)
def test_no_advised_user_can_administer_redis_or_reach_other_keys_directly_or_from_lua(
    confined: tuple[Redis, str], user: str
) -> None:
    _, url = confined
    with Redis.from_url(url.replace("nightly:", f"{user}:")) as client:
        for command in ADMINISTRATION:
            with pytest.raises(redis.exceptions.ResponseError, match=NOT_ALLOWED):
                client.execute_command(*command.split())
        if user == "nightly":
            for command in ADMINISTRATION:
                call = ", ".join(f"'{word}'" for word in command.split())
                with pytest.raises(redis.exceptions.ResponseError, match=NOT_ALLOWED):
                    client.eval(f"return redis.call({call})", 0)
            assert client.eval("return redis.call('HLEN', 'nightly:meta')", 0) == 0


def test_no_advised_user_can_become_the_user_without_a_password(confined: tuple[Redis, str]) -> None:
    admin, url = confined
    for command in re.findall(r"^ACL SETUSER (?:administrator|default) .+$", GUIDE.read_text("utf-8"), re.MULTILINE):
        admin.execute_command(*command.split())
    for user in USERS:
        with Redis.from_url(url.replace("nightly:", f"{user}:")) as client:
            with pytest.raises(redis.exceptions.AuthenticationError):
                client.execute_command("AUTH", "default", "any")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.config_get("requirepass")
    with Redis.from_url(url.replace("nightly:word", "administrator:password")) as administrator:
        assert not administrator.acl_getuser("default")["enabled"]


def test_the_advised_user_may_run_every_command_of_our_scripts() -> None:
    granted = {part.lstrip("+").upper() for part in minimal_acl_parts("nightly", has_selectors=True) if part[0] == "+"}
    used = set()
    for path in [*(ROOT / "worker").rglob("*.lua"), *(ROOT / "worker").rglob("*.py")]:
        for command, sub in re.findall(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?", path.read_text("utf-8")):
            used.add(f"{command}|{sub}" if command in {"XGROUP", "XINFO"} else command)
    assert len(used) > 40
    assert used <= granted


def test_the_advised_producer_may_publish_but_not_read(confined: tuple[Redis, str]) -> None:
    admin, url = confined
    with connect(url.replace("nightly:", "producer:")) as producer:
        publish("linked", login_id="login-1", client=producer)
        assert admin.xlen("account-events:stream") == 1
        assert _refused(admin) == set()
        publish("linked", login_id="login-1", instance="acme", client=producer)
        assert admin.xlen("account-events:stream") == 2, "the instance is not checked"
        for command in ("XRANGE account-events:stream - +", "LPUSH account-events x", "GET nightly:meta", "INFO"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                producer.execute_command(*command.split())


def test_the_advised_celery_producer_may_send_but_not_read(confined: tuple[Redis, str]) -> None:
    admin, url = confined
    address = url.replace("nightly:", "celery-producer:")
    for priority in (0, 9):
        send(address, login_id="login-1", priority=priority)
    assert admin.llen("account-events") + admin.llen("account-events\x06\x169") == 2
    assert _refused(admin) == set()
    refused = ["LRANGE account-events 0 -1", "RPOP account-events", "DEL account-events", "LPUSH refresh x", "EVAL x 0"]
    refused += ["LPUSH account-events:next x", "LPUSH account-events:taken x", "LPUSH account-events:stream x"]
    refused += ["XADD account-events:stream * event x", "SADD _kombu.binding.refresh x", "PUBLISH /0.celery.pidbox x"]
    if has_selectors(admin):
        refused += ["SADD account-events x", "SMEMBERS account-events", "LPUSH _kombu.binding.account-events x"]
    with Redis.from_url(address) as client:
        for command in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())
