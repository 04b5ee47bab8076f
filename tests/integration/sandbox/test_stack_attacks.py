"""Attacks on the embedded server by another user of the machine: none reaches data, files or code."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from sandbox.stack import EmbeddedRedis, OrphanGuard

ATTACK = """
import os, pathlib, socket, sys
from urllib.parse import unquote, urlsplit
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
where, folder = urlsplit(sys.argv[1]), pathlib.Path(sys.argv[2])
target = unquote(where.path) if where.scheme == "unix" else (where.hostname, where.port)
try:
    client = socket.socket(socket.AF_UNIX if where.scheme == "unix" else socket.AF_INET)
    client.settimeout(5)
    client.connect(target)
    client.sendall(b"CONFIG SET dir /tmp\\r\\n")
    print("server:", client.recv(100).decode().strip())
except OSError as error:
    print("server:", type(error).__name__)
try:
    print("files:", sorted(path.name for path in folder.iterdir()))
except OSError as error:
    print("files:", type(error).__name__)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="nightly-attacked-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def attack(server: EmbeddedRedis) -> dict[str, str]:
    """Let another user try; returns the result."""
    argv = [sys.executable, "-I", "-c", ATTACK, server.url, str(server.data_folder)]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, timeout=30, check=True)
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("is_deep", [False, True])
def test_another_user_reaches_neither_the_server_nor_its_files(
    open_folder: Path,
    orphan_guard: OrphanGuard,
    is_deep: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    folder = open_folder / ("deep" * 40 if is_deep else "stack")
    with EmbeddedRedis(folder, guard=orphan_guard) as server:
        assert attack(server) == {"server": "PermissionError", "files": "PermissionError"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_is_asked_for_the_password_where_the_server_listens_on_tcp(
    open_folder: Path, orphan_guard: OrphanGuard
) -> None:
    with EmbeddedRedis(open_folder / "stack", guard=orphan_guard, tcp=True) as server:
        found = attack(server)
    assert found["server"].startswith(("-NOAUTH", "-ERR unknown command"))
    assert found["files"] == "PermissionError"


def test_no_command_is_run_on_tcp_without_the_password(tmp_path: Path, orphan_guard: OrphanGuard) -> None:
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
        for password in (None, "guess"):
            with Redis(port=server.port, password=password) as client, pytest.raises(AuthenticationError):
                client.ping()
        with Redis.from_url(server.url) as client:
            assert client.ping()


@pytest.mark.parametrize("tcp", [False, True])
def test_even_a_client_with_the_password_cannot_write_files_or_load_code_through_the_server(
    tmp_path: Path,
    orphan_guard: OrphanGuard,
    tcp: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=tcp) as server, Redis.from_url(server.url) as client:
        for command in ("CONFIG SET dir /tmp", "CONFIG GET *", "MODULE LOAD /tmp/x.so", "DEBUG SLEEP 0"):
            with pytest.raises(ResponseError, match="unknown command"):
                client.execute_command(*command.split())
            with pytest.raises(RedisError):
                client.eval("return redis.call(unpack(ARGV))", 0, *command.split())


def test_arguments_and_environment_of_the_server_hold_no_password(tmp_path: Path, orphan_guard: OrphanGuard) -> None:
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
        assert len(server.password) >= 32
        for name in ("cmdline", "environ"):
            assert server.password.encode() not in Path(f"/proc/{server.pid}/{name}").read_bytes()


def test_port_and_password_are_stored_for_the_next_run_in_a_private_file(
    tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
        url = server.url
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
        assert server.url == url
    assert server.url_path.read_text().strip() == url
    assert server.url_path.stat().st_mode & 0o777 == 0o600


def test_a_foreign_process_on_the_stored_port_gets_no_data_and_keeps_the_port(
    tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
        port, password = server.port, server.password
    with closing(socket.create_server(("127.0.0.1", port))) as thief:
        thief.settimeout(0)
        with EmbeddedRedis(tmp_path, guard=orphan_guard, tcp=True) as server:
            assert server.port != port
            assert server.password != password, "clients of the first run may have sent it there"
            with pytest.raises(BlockingIOError):
                thief.accept()


def test_a_socket_whose_path_would_be_too_long_lies_in_a_private_folder_that_is_removed_with_the_server(
    tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    with EmbeddedRedis(tmp_path / ("deep" * 40), guard=orphan_guard) as server:
        folder = server.socket_path.parent
        assert folder != server.data_folder
        assert folder.stat().st_mode & 0o777 == 0o700
        url = server.url
        server.stop()
        assert not folder.exists()
        server.start()
        assert server.url == url
    assert not folder.exists()


def test_a_socket_gets_a_short_path_where_even_the_temporary_folder_is_deep(
    tmp_path: Path, orphan_guard: OrphanGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 40)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with EmbeddedRedis(deep, guard=orphan_guard) as server:
        assert len(str(server.socket_path)) < 104
        assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert not list(deep.glob("nightly-*"))
