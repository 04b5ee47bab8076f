"""The deployment files agree with the project; checked without a container engine."""

import os
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from importlib.metadata import entry_points, requires
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.integration.command import Command
from tests.places import ROOT
from worker.config.settings import Settings
from worker.vault.vault import decode_key

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("nightly-refresh-worker")}
HEALTH_CHECKS = {name: service["healthcheck"]["test"] for name, service in SERVICES.items()}
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
# `exec`, so that a signal reaches the process itself and not the shell in front of it
PROCFILE = dict(line.split(": exec ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
COPIED = [
    source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]
]


def test_every_path_that_the_image_copies_exists_and_passes_dockerignore() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    admitted = [line.removeprefix("!") for line in lines if line.startswith("!")]

    assert "*" in lines
    assert {source.rstrip("/") for source in COPIED} == set(admitted)
    assert [source for source in COPIED if not (ROOT / source).exists()] == []


def test_no_secret_can_get_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()

    assert not [line for line in lines if line.startswith("!") and fnmatch(".env", line[1:])]
    assert not [name for name in Settings.model_fields if re.search(rf"\b{name.upper()}\b", DOCKERFILE)]


def test_the_build_backend_of_the_image_is_complete_and_hashed() -> None:
    listed = set(re.search(r"\^\(([a-z|-]+)\)==", DOCKERFILE)[1].split("|"))  # type: ignore[index]
    needed, todo = set[str](), ["hatchling"]
    while todo:
        name = todo.pop()
        needed.add(name)
        found = (Requirement(line) for line in requires(name) or ())
        todo += [item.name for item in found if not item.marker or item.marker.evaluate({"extra": ""})]

    assert listed == needed


def test_the_awk_command_of_the_image_selects_whole_entries_of_the_lock() -> None:
    program = re.search(r"awk '([^']+)'", DOCKERFILE)[1]  # type: ignore[index]

    picked = subprocess.check_output(["awk", program, "requirements/dev.txt"], cwd=ROOT, text=True)

    entries = re.split(r"\n(?=[a-z])", picked)
    assert entries[0].startswith("hatchling==")
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_image_the_compose_file_and_the_procfile_start_the_same_worker() -> None:
    from_image = re.search(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[1]  # type: ignore[index]

    assert shlex.split(PROCFILE["worker"]) == yaml.safe_load(from_image)
    assert SERVICES["worker"]["command"] == SERVICES["worker-demo"]["command"] == yaml.safe_load(from_image)


def test_every_started_command_exists_in_the_image() -> None:
    scripts = {script.name for script in entry_points(group="console_scripts")} | {"python"}
    started = [service["command"][0] for service in OURS.values()]
    started += [test[1] for test in HEALTH_CHECKS.values() if test[0] == "CMD"]
    started += [command.split()[0] for command in PROCFILE.values()]

    assert set(started) <= scripts
    assert {"nightly", "celery"} <= scripts


def test_every_started_subcommand_exists_in_nightly(capfd: pytest.CaptureFixture[str]) -> None:
    nightly = Command(capfd)
    lines = [service["command"] for service in OURS.values()]
    subcommands = {line[1] for line in lines if line[0] == "nightly"}
    assert subcommands == {"review"}

    for subcommand in subcommands:
        assert nightly(subcommand, "--help").returncode == 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_container_is_confined_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["healthcheck"]["test"]
    assert re.search(r"@sha256:[0-9a-f]{64}$|:\d[\w.-]*$|^nightly-refresh-worker", service["image"]), "any version"


def test_no_port_is_published_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_each_redis_keeps_everything_and_evicts_nothing() -> None:
    for name in ("redis", "redis-demo"):
        command = SERVICES[name]["command"]
        options = dict(zip(command[4::2], command[5::2], strict=True))
        assert options["--appendonly"] == "yes"
        assert options["--maxmemory-policy"] == "noeviction"
        assert (options["--maxmemory"], SERVICES[name]["mem_limit"]) == ("1gb", "2g"), "no room to rewrite the file"
    assert SERVICES["redis"]["volumes"] == ["ledger:/data"]


def test_production_waits_for_redis_and_never_starts_the_demo() -> None:
    production = {name for name, service in SERVICES.items() if "profiles" not in service}

    assert production == {"redis", "worker", "review"}
    for name in ("worker", "review"):
        assert SERVICES[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert SERVICES[name]["restart"] == "always"


def test_neither_the_production_image_nor_the_wheel_holds_the_emulator() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n((?:(?!FROM ).*\n?)*)", DOCKERFILE, re.MULTILINE))
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert [name for name, text in stages.items() if "sandbox" in text] == ["demo"]
    assert list(stages)[-1] == "production"
    assert re.search(r"^FROM runtime AS production$", DOCKERFILE, re.MULTILINE)
    assert wheel["packages"] == ["worker", "tasks"]
    for name, service in OURS.items():
        assert service["build"]["target"] == ("demo" if name == "emulator" else "production")


def test_the_settings_of_the_demo_worker_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = SERVICES["worker-demo"]
    for name, value in demo["environment"].items():
        monkeypatch.setenv(name, value)

    settings = Settings.load(require=["REDIS_URL", "LOGIN_KEYS", "FLINKS_AUTH_KEY"])

    assert decode_key(demo["environment"]["LOGIN_KEYS"]).isascii(), "which production refuses"
    assert settings.sandbox
    assert demo["network_mode"] == "service:emulator"
    assert settings.flinks_base_url == f"http://127.0.0.1:{SERVICES['emulator']['command'][-1]}"


def test_every_test_that_make_oldest_names_exists() -> None:
    named = re.search(r"^OLDEST_TESTS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]  # type: ignore[index]
    paths = named.replace("\\\n", " ").split()

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_ci_runs_what_make_check_runs() -> None:
    script = ROOT / ".ci" / "run"
    check = re.search(r"^check: ([a-z ]+) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]  # type: ignore[index]

    assert os.access(script, os.X_OK)
    assert re.findall(r"^make (\w+)$", script.read_text(), re.MULTILINE) == check.split()


def test_the_embedded_server_is_installed_on_every_supported_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: "
    pythons = [line.removeprefix(prefix) for line in project["classifiers"] if line.startswith(prefix)]
    markers = [Requirement(line).marker for line in project["optional-dependencies"]["embedded"]]
    assert {"3.11", "3.13"} <= set(pythons)
    for python in pythons:
        assert any(marker is None or marker.evaluate({"python_version": python}) for marker in markers), python


def test_the_runtime_lock_holds_what_kombu_needs_for_redis() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE))
    assert {"redis", "packaging"} <= locked, "kombu's Redis transport imports both, and only its extra says so"
