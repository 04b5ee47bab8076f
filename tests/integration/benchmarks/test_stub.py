"""The Flinks stub of the benchmarks counts exactly the calls that it received."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.backlog import Wish, backlog
from benchmarks.stub import NoCompiler, Stub, build
from tests.waiting import eventually

FOREVER_MS = 600_000


@pytest.fixture(scope="module")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stub")
    try:
        build(folder)
    except NoCompiler as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def stub(program_folder: Path) -> Iterator[Stub]:
    with Stub(program_folder) as stub:
        yield stub


def request(wish: Wish) -> bytes:
    body = json.dumps({"loginId": wish.login_id, "isActivated": wish.is_on}).encode()
    return b"PATCH /v3/x/BankingServices/SetScheduledRefresh HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def connect(stub: Stub) -> socket.socket:
    return socket.create_connection(("127.0.0.1", stub.port), timeout=10)


def test_calls_are_stored_in_order_with_login_wish_and_time(stub: Stub) -> None:
    wishes = list(backlog(50))
    with connect(stub) as connection:
        for wish in [*wishes, wishes[0]]:
            connection.sendall(request(wish))
            reply = connection.recv(4096).decode()
            assert reply.startswith("HTTP/1.1 200 ")
            assert f"{wish.login_id} has now been {'activated' if wish.is_on else 'deactivated'}" in reply

    calls = stub.calls()

    assert [(call.login_id, call.wants_active) for call in calls] == [*wishes, wishes[0]]
    assert [call.at_us for call in calls] == sorted(call.at_us for call in calls)
    assert (stub.count(), stub.answered()) == (51, 51)


def test_a_call_that_waits_for_its_response_counts_as_in_hand_and_not_as_answered(stub: Stub) -> None:
    stub.reset(delay_ms=FOREVER_MS)
    with ExitStack() as exits:
        for wish in backlog(3):
            exits.enter_context(connect(stub)).sendall(request(wish))
        eventually(lambda: stub.count() == 3)
        assert (stub.most_in_hand(), stub.answered()) == (3, 0)


def test_requests_that_arrive_in_pieces_or_together_are_each_counted_once(stub: Stub) -> None:
    first, second, third = (request(wish) for wish in backlog(3))
    with connect(stub) as connection:
        connection.sendall(first[:40])
        assert stub.count() == 0
        connection.sendall(first[40:] + second + third[:-1])
        eventually(lambda: stub.count() == 2)
        connection.sendall(third[-1:])
        eventually(lambda: stub.count() == 3)

    assert [call.login_id for call in stub.calls()] == [wish.login_id for wish in backlog(3)]


def test_a_reset_forgets_what_came_before(stub: Stub) -> None:
    with connect(stub) as connection:
        for wish in backlog(2):
            connection.sendall(request(wish))
            connection.recv(4096)
        stub.reset()

        assert (stub.count(), stub.answered(), stub.calls()) == (0, 0, [])
        connection.sendall(request(Wish("after", is_on=True)))
        connection.recv(4096)

    assert [call.login_id for call in stub.calls()] == ["after"]
