"""Which connection is closed for another one, and what a listener does without free file descriptors."""

import asyncio
import errno
import resource
import socket
from contextlib import closing

import pytest

from worker import listening
from worker.listening import (
    ARRIVING_AT_ONCE,
    RESERVED_DESCRIPTORS,
    BoundedListener,
    Place,
    Places,
    network_of,
    places_that_fit,
)


class Transport(asyncio.Transport):
    """A connection from an address, which records whether it was aborted."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def enter(places: Places, address: str, *, waits_since: float | None) -> tuple[Transport, Place]:
    assert places.admit()
    transport = Transport(address)
    place = places.enter(transport)
    place.waits_since = waits_since
    return transport, place


def test_the_connection_that_was_idle_longest_is_closed_first() -> None:
    places = Places(3)
    waiting = [enter(places, "192.0.2.1", waits_since=since)[0] for since in (7.0, 5.0, 6.0)]
    assert places.admit()
    assert [transport.is_aborted for transport in waiting] == [False, True, False]


def test_the_address_with_most_connections_loses_one_first() -> None:
    places = Places(3)
    alone, _ = enter(places, "192.0.2.1", waits_since=1.0)
    crowd = [enter(places, f"2001:db8::{number}", waits_since=2.0 + number)[0] for number in range(2)]
    assert places.admit()
    assert not alone.is_aborted
    assert [transport.is_aborted for transport in crowd] == [True, False]


def test_a_busy_connection_is_never_closed_for_another() -> None:
    refused: list[bool] = []
    places = Places(1, on_refused=lambda: refused.append(True))
    transport, place = enter(places, "192.0.2.1", waits_since=None)
    assert not places.admit()
    assert (transport.is_aborted, len(refused)) == (False, 1)
    place.wait()
    assert places.admit()
    assert transport.is_aborted


def test_a_place_is_released_only_once() -> None:
    places = Places(1)
    _, place = enter(places, "192.0.2.1", waits_since=1.0)
    assert places.admit()
    places.leave(place)
    assert len(places) == 1


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_client_is_counted_by_its_network(host: str, network: str) -> None:
    assert network_of(host) == network


def test_the_limit_of_open_files_decides_the_number_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    for limits, fit in [
        ((64, 100_000), 300),
        ((64, 200), 200 - RESERVED_DESCRIPTORS),
        ((-1, -1), 300),
        ((64, -1), 300),
    ]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert places_that_fit(300) == fit
    assert raised == [(450, 100_000), (200, 200), (450, -1)]


def test_without_free_descriptors_an_idle_connection_is_closed_or_the_listener_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_descriptor(_: socket.socket) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    pauses: list[float] = []
    monkeypatch.setattr(socket.socket, "accept", no_descriptor)
    monkeypatch.setattr(listening.time, "sleep", pauses.append)
    places = Places(10)
    idle, _ = enter(places, "192.0.2.1", waits_since=1.0)
    with closing(BoundedListener()) as listener:
        listener.places = places
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                listener.accept()
    assert idle.is_aborted
    assert len(pauses) == 1


def test_connections_wait_in_the_kernel_while_many_arrive_at_once() -> None:
    places = Places(100)
    for _ in range(ARRIVING_AT_ONCE):
        assert places.admit()
    with closing(BoundedListener()) as listener:
        listener.places = places
        with pytest.raises(BlockingIOError):
            listener.accept()
