"""The doctor on a real Redis: a sound installation, and each fault."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis
from tests.integration.command import Command
from tests.people import ANN
from worker.events.channels import EVENTS_QUEUE, STREAM
from worker.ledger import Ledger
from worker.ledger.audit import AUDIT, AuditLog, Deed
from worker.ledger.stream_state import LARGEST_MS
from worker.operations.checks import Level
from worker.operations.diagnose import reach
from worker.vault.vault import Vault, decode_key, new_key

Doctor = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def listener() -> Iterator[str]:
    """A base URL of a server that accepts connections and stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def doctor(redis_url: str, login_keys: str, listener: str, capfd: pytest.CaptureFixture[str]) -> Doctor:
    """Run the doctor; returns its checks by name, and fails the test if the exit code does not match them."""
    settings = {
        "REDIS_URL": redis_url,
        "LOGIN_KEYS": login_keys,
        "FLINKS_AUTH_KEY": "canary",
        "FLINKS_BASE_URL": listener,
    }

    def run(**changes: str) -> dict[str, dict[str, str]]:
        done = Command(capfd, never_shown="canary")("doctor", "--json", **settings | changes)
        checks = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == any(check["level"] == "fail" for check in checks)
        return {check["name"]: check for check in checks}

    return run


def test_a_sound_installation_passes_and_is_not_changed(doctor: Doctor, redis_client: Redis) -> None:
    Ledger(redis_client).pulse({}, worker="celery@here", slots=2)
    before = redis_client.keys()
    checks = doctor()
    found = {name for name, check in checks.items() if check["level"] != "ok"}
    assert found - {"Redis version"} == set(), "the server under test may be an old one, which is a warning"
    assert checks["Redis version"]["level"] in {"ok", "warn"}
    assert {"eviction", "persistence", "workers", "stream", "toolbox: address"} <= checks.keys()
    assert redis_client.keys() == before


def test_the_servers_name_and_version_are_shown(doctor: Doctor, redis_server: EmbeddedRedis) -> None:
    assert doctor()["Redis version"]["what"].startswith(redis_server.server)


def test_missing_settings_are_named_with_advice(doctor: Doctor) -> None:
    checks = doctor(REDIS_URL="", LOGIN_KEYS="", FLINKS_AUTH_KEY="")
    assert all(checks[name]["level"] == "fail" for name in ("REDIS_URL", "LOGIN_KEYS", "FLINKS_AUTH_KEY"))
    assert "nightly keys new" in checks["LOGIN_KEYS"]["advice"]


def test_a_wrong_value_is_a_failed_check_and_not_a_crash(doctor: Doctor) -> None:
    assert "FLINKS_TIMEOUT_SECONDS" in doctor(FLINKS_TIMEOUT_SECONDS="canary")["settings"]["what"]


def test_a_redis_that_may_evict_keys_fails(doctor: Doctor, redis_client: Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert doctor()["eviction"]["level"] == "fail"
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_a_ledger_sealed_with_other_keys_is_recognised(doctor: Doctor, redis_client: Redis) -> None:
    Ledger(redis_client).open_ledger("another-key")
    assert doctor(LOGIN_KEYS=new_key())["LOGIN_KEYS"]["level"] == "fail"


def test_a_public_key_that_fits_no_login_key_fails(doctor: Doctor, login_keys: str) -> None:
    fitting, other = (Vault([decode_key(key)]).public_keys[0] for key in (login_keys, new_key()))
    assert doctor(SEAL_TO=str(fitting))["SEAL_TO"]["level"] == "ok"
    assert doctor(SEAL_TO=str(other))["SEAL_TO"]["level"] == "fail"


def test_an_unreachable_redis_is_reported_and_the_rest_is_still_checked(doctor: Doctor) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        checks = doctor(REDIS_URL=f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
    assert "Nothing listens" in checks["Redis"]["what"]
    assert checks["toolbox: address"]["level"] == "ok"


def test_unread_entries_are_reported(doctor: Doctor, redis_client: Redis) -> None:
    redis_client.xadd("account-events:stream", {"event": "{}"}, id="1-1")
    checks = doctor()
    assert checks["workers"]["level"] == "fail"
    assert "1 message waits" in checks["stream"]["what"]
    assert checks["stream"]["level"] == "fail"
    assert checks["queue"]["level"] == "ok"


def test_a_celery_message_without_a_worker_fails(doctor: Doctor, redis_client: Redis) -> None:
    redis_client.lpush(EVENTS_QUEUE, b"any item")
    checks = doctor()
    assert {checks[name]["level"] for name in ("workers", "queue")} == {"fail"}
    assert "1 message waits, the oldest for an unknown time" in checks["queue"]["what"]
    assert "celery -A worker worker" in checks["queue"]["advice"]


def test_a_stream_that_a_producer_closed_fails_and_says_how_to_open_it(doctor: Doctor, redis_client: Redis) -> None:
    redis_client.execute_command("XADD", STREAM, f"{LARGEST_MS}-{LARGEST_MS}", "event", "{}")
    check = doctor()["stream ids"]
    assert check["level"] == "fail"
    assert "XGROUP DESTROY" in check["advice"]
    redis_client.delete(STREAM)
    redis_client.xadd(STREAM, {"event": "{}"}, id="9999999999999-1")
    assert doctor()["stream ids"]["level"] == "warn"


def test_vanished_entries_are_a_warning_with_advice(doctor: Doctor, redis_client: Redis) -> None:
    redis_client.hset(f"nightly:entries:{STREAM}", mapping={"vanished": 7, "vanished_at": 1})
    check = doctor()["stream entries"]
    assert (check["level"], check["what"][:24]) == ("warn", "7 stream entries vanishe")
    assert "Publish the events that were sent before that time again" in check["advice"]


def test_an_audit_log_that_somebody_changed_fails(doctor: Doctor, redis_client: Redis) -> None:
    for number in range(3):
        AuditLog(redis_client).append(Deed(ANN, "letter.note", f"dl-{number}"))
    assert doctor()["audit log"]["level"] == "ok"
    redis_client.rpop(AUDIT)
    check = doctor()["audit log"]
    assert (check["level"], check["what"][:18]) == ("fail", "broken at entry 2:")


def test_a_separate_broker_is_checked_too(doctor: Doctor, redis_url: str) -> None:
    assert doctor(BROKER_URL=f"{redis_url}?db=1")["broker"]["level"] == "ok"
    assert doctor(BROKER_URL="amqp://user:canary@127.0.0.1:1//")["RabbitMQ"]["level"] == "fail"


def test_the_flinks_address_is_checked_without_an_api_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reach("toolbox", f"http://127.0.0.1:{server.getsockname()[1]}").level is Level.OK
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""


def test_an_address_without_tls_or_without_a_listener_fails() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert "no connection" in reach("toolbox", f"https://127.0.0.1:{nobody.getsockname()[1]}").what
    assert "is unknown" in reach("toolbox", "https://no-such-host.invalid").what
