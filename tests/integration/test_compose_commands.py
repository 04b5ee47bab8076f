"""The commands of docker-compose.yml, run without a container: what they start, refuse and expose."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from sandbox.stack import ManagedProcess, OrphanGuard
from sandbox.stack.readiness import listening_url
from sandbox.stack.redis_binary import find_redis_binary
from sandbox.stack.redis_server import free_port
from tests.integration.conftest import Start
from tests.places import ROOT
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.operations.server_versions import FIRST_FIXED, has_lua_holes

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PASSWORD = "letters-0and-9digits_"
URL = f"redis://:{PASSWORD}@redis:6379/0"
SECRETS_OF_WORKERS = {"LOGIN_KEYS", "FLINKS_AUTH_KEY", "FLINKS_INSTANCES", "BROKER_URL"}


def as_the_shell_sees_it(text: str) -> str:
    """Undo Compose's escaping of a dollar sign."""
    return text.replace("$$", "$")


def check(name: str, environment: Mapping[str, str], *, instead: tuple[str, str] = ("", "")) -> bool:
    """Run the health check of a service."""
    kind, *test = SERVICES[name]["healthcheck"]["test"]
    command = ["sh", "-c", as_the_shell_sees_it(test[0])] if kind == "CMD-SHELL" else test
    command = [word.replace(*instead) if instead[0] else word for word in command]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, timeout=30, check=False)
    return done.returncode == 0


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """A PATH with the server under the name that it has in the image, and a client that has the password."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "valkey-server").symlink_to(find_redis_binary().path)
    client = folder / "valkey-cli"
    client.write_text(f'#!/bin/sh\n[ "$VALKEYCLI_AUTH $*" = "{PASSWORD} ping" ] && echo PONG || echo NOAUTH\n')
    client.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path: Path, programs: str, port: int, orphan_guard: OrphanGuard) -> Iterator[ManagedProcess]:
    """The Redis of the ledger, on a free loopback port."""
    command = [as_the_shell_sees_it(word) for word in SERVICES["redis"]["command"]]
    command += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    environment = os.environ | {"PATH": programs, "TMPDIR": str(tmp_path), "REDIS_URL": URL}
    process = ManagedProcess("redis", command, env=environment, log_path=tmp_path / "redis.log", guard=orphan_guard)
    yield process.start()
    process.stop()


def test_the_redis_of_the_ledger_requires_the_password_of_redis_url_and_hides_it_from_other_users(
    server: ManagedProcess, port: int, tmp_path: Path
) -> None:
    def answers() -> bool:
        try:
            with redis.Redis(port=port, password=PASSWORD) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    eventually(answers, describe="Redis")
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.get("x")
    with redis.Redis(port=port, password=PASSWORD) as client:
        told = client.config_get("appendonly", "maxmemory", "maxmemory-policy", "save")
    assert told == {"appendonly": "yes", "maxmemory": str(2**30), "maxmemory-policy": "noeviction", "save": ""}
    assert PASSWORD.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    readable = [path for path in tmp_path.iterdir() if path.is_file() and PASSWORD in path.read_text(errors="replace")]
    assert [path.stat().st_mode & 0o777 for path in readable] == [0o600]


@pytest.mark.parametrize(
    "url",
    ["", "redis://redis:6379/0", "redis://:@redis:6379/0", "redis://:a b@redis:6379/0", 'redis://:"@redis:6379/0'],
)
def test_the_redis_of_the_ledger_does_not_start_without_a_password(url: str, programs: str, tmp_path: Path) -> None:
    command = [as_the_shell_sees_it(word) for word in SERVICES["redis"]["command"]]
    environment = os.environ | {"PATH": programs, "TMPDIR": str(tmp_path), "REDIS_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("REDIS_URL: must be redis://:PASSWORD@HOST:6379/0")


def test_redis_is_healthy_only_when_it_accepts_the_password(programs: str) -> None:
    for name in ("redis", "redis-demo"):
        assert check(name, {"PATH": programs, "REDIS_URL": URL})
        assert not check(name, {"PATH": programs, "REDIS_URL": "redis://:other@redis:6379/0"})


def test_a_worker_is_healthy_while_its_heartbeat_file_is_recent(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    given = {"HEALTH_FILE": str(alive)}
    assert not check("worker", given), "no file yet"
    alive.touch()
    assert check("worker", given)
    os.utime(alive, times=(time.time() - 120,) * 2)
    assert not check("worker", given)
    for name in ("worker", "worker-demo"):
        assert SERVICES[name]["environment"]["HEALTH_FILE"].startswith("/tmp/"), "all else is read-only"


def test_the_web_process_is_healthy_while_it_reaches_redis(start: Start) -> None:
    page = start()
    port = str(listening_url(page)).rpartition(":")[2]
    assert check("review", {}, instead=("8080", port))
    page.stop()
    assert not check("review", {}, instead=("8080", port))


def test_the_web_process_gets_its_own_settings_and_no_secret_of_the_workers() -> None:
    review = SERVICES["review"]
    given = review["environment"]
    assert "env_file" not in review
    assert {"REDIS_URL", "REVIEW_USERS", "HTTP_EVENTS_SECRETS", "SEAL_TO"} <= given.keys()
    assert given.keys() <= {name.upper() for name in Settings.model_fields} - SECRETS_OF_WORKERS
    assert given == {name: f"${{{name}:-}}" for name in given}


def test_client_and_server_of_the_demo_share_the_redis_password() -> None:
    assert SERVICES["worker-demo"]["environment"]["REDIS_URL"] == SERVICES["redis-demo"]["environment"]["REDIS_URL"]
    assert SERVICES["redis"]["environment"] == {"REDIS_URL": "${REDIS_URL:-}"}


def test_demo_and_production_share_no_network_and_the_network_of_the_ledger_is_internal() -> None:
    networks = {name: set(service.get("networks", ())) for name, service in SERVICES.items()}
    demo = [name for name, service in SERVICES.items() if "profiles" in service]
    for one, other in product(demo, networks.keys() - demo):
        assert not networks[one] & networks[other]
    assert [name for name in networks if not networks[name]] == ["worker-demo"], "which shares the emulator's"
    assert networks["redis"] == {"ledger"}
    assert networks["worker"] & networks["review"] == {"ledger"}
    assert COMPOSE["networks"]["ledger"] == {"internal": True}


def test_the_server_version_has_no_known_vulnerability_in_lua() -> None:
    for name in ("redis", "redis-demo"):
        product_name, _, tag = SERVICES[name]["image"].rpartition("/")[2].partition(":")
        version = tuple(int(number) for number in tag.partition("-")[0].split("."))
        assert product_name.capitalize() in FIRST_FIXED
        assert not has_lua_holes(product_name.capitalize(), version)


def test_redis_runs_as_the_user_of_its_image_without_capabilities() -> None:
    for name in ("redis", "redis-demo"):
        assert SERVICES[name]["user"] == "999:1000"
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert "/tmp" in SERVICES[name]["tmpfs"], "where the file with the password goes"
