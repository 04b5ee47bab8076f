"""The shared base of all tests: no test sees the developer's settings, and servers are started once and emptied."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.readiness import listening_url
from sandbox.stack.redis_binary import find_redis_binary
from tests.browser.chromium import find_chromium, missing_line
from tests.forked_process import ForkedProcess
from tests.places import ROOT
from worker.config.settings import Settings
from worker.config.unknown_names import OWN_PREFIXES
from worker.errors import EmbeddedStackError
from worker.vault.vault import Vault, decode_key, new_key

KNOWN_KEY = new_key()

# jsonschema imports this to check `iri`, a format that no schema of ours has; the import takes 2.5 s of CPU.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


# A busy machine takes longer than hypothesis' 200 ms for an example now and then.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


# A shell without job control ignores SIGINT in what it runs in the background, and every child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection() -> None:
    """Keep Python from looking for garbage among thousands of tests, now and later: a quarter of the collection."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_report_header() -> list[str]:
    browser = f"browser: {find_chromium() or 'none, so the browser tests will be skipped'}"
    try:
        return [f"embedded server: {find_redis_binary()}", browser]
    except EmbeddedStackError as error:
        return [f"embedded server: {error}", browser]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in red at the end that the browser tests did not run, whatever the verbosity."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if line := missing_line(skipped):
        terminalreporter.write_line(line, red=True, bold=True)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name in ours or name.startswith(OWN_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # where no `.env` is


@pytest.fixture
def login_keys() -> str:
    """LOGIN_KEYS of this run: the key in `vault`."""
    return KNOWN_KEY


@pytest.fixture
def vault(login_keys: str) -> Vault:
    return Vault([decode_key(login_keys)])


@pytest.fixture(scope="session")
def orphan_guard() -> Iterator[OrphanGuard]:
    """Kills every process that a test left running, even when pytest itself is killed."""
    with OrphanGuard() as guard:
        yield guard


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    """A real Redis for the whole session. A test that kills or reconfigures a server starts one of its own."""
    folder = tmp_path_factory.mktemp("redis")
    with EmbeddedRedis(folder, name="tests", guard=orphan_guard, takes_config=True) as server:
        yield server


@pytest.fixture(scope="session")
def tcp_server(tmp_path_factory: pytest.TempPathFactory, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    """A Redis on loopback with a password: for a proxy, a replica or a sentinel in front of it."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis"), name="tcp", guard=orphan_guard, tcp=True) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """The session's Redis, without a key of an earlier test. Its scripts stay: loading them again takes time."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Redis]:
    """A client of the emptied Redis; replies are bytes."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def emulator_url(tmp_path_factory: pytest.TempPathFactory, orphan_guard: OrphanGuard) -> Iterator[str]:
    """The base URL of the Flinks emulator of this session; ask for `emulator` to have it reset."""
    process = ForkedProcess(
        "emulator",
        [sys.executable, "-m", "sandbox.emulator", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        log_path=tmp_path_factory.mktemp("emulator") / "emulator.log",
        guard=orphan_guard,
    )
    try:
        process.start().wait_ready(lambda: listening_url(process), seconds=30)
        yield str(listening_url(process))
    finally:
        process.stop()
