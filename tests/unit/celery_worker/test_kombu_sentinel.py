"""Celery's consumer drops a server that is no longer the primary, and no other server."""

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from kombu.transport import redis as kombu_redis
from redis.sentinel import Sentinel, SentinelConnectionPool

from worker.celery_worker.patches.kombu_redis import guard_kombu
from worker.celery_worker.patches.kombu_sentinel import follow_primary, look
from worker.redis_client.connect import connect
from worker.redis_client.sentinel_pool import PrimaryPool

OLD, NEW = ("old", 1), ("new", 2)


class Connection:
    def __init__(self, address: tuple[str, int]) -> None:
        self.host, self.port = address
        self._sock: object | None = object()

    def disconnect(self) -> None:
        self._sock = None


class Channel:
    """A channel with a connection for BRPOP and one for remote control, and sentinels that name `primary`."""

    def __init__(self, primary: tuple[str, int] | None) -> None:
        self.primary, self.asked = primary, 0
        self.async_pool = SimpleNamespace(get_master_address=self._ask)
        self.client = SimpleNamespace(connection=Connection(OLD))
        self.subclient = SimpleNamespace(connection=Connection(OLD))

    def _ask(self) -> tuple[str, int]:
        self.asked += 1
        if self.primary is None:
            raise redis.sentinel.MasterNotFoundError
        return self.primary

    @property
    def is_connected(self) -> list[bool]:
        return [client.connection._sock is not None for client in (self.client, self.subclient)]


@pytest.mark.parametrize(("primary", "stays"), [(NEW, False), (OLD, True), (None, True)])
def test_connections_to_a_former_primary_are_dropped(primary: tuple[str, int] | None, stays: bool) -> None:  # noqa: FBT001
    channel = Channel(primary)
    look(channel)
    assert channel.is_connected == [stays, stays]


def test_a_channel_without_remote_control_stays_without_it() -> None:
    channel = Channel(NEW)
    del channel.subclient
    look(channel)
    assert not hasattr(channel, "subclient")


def test_within_a_second_no_sentinel_is_asked_again() -> None:
    channel = Channel(OLD)
    look(channel)
    look(channel)
    assert channel.asked == 1


class SentinelChannel(Channel):
    """A stand-in for kombu's class of that name."""

    def _sentinel_managed_pool(self) -> SentinelConnectionPool:
        return SentinelConnectionPool("main", Sentinel([]))  # type: ignore[no-untyped-call]


def test_only_channels_with_sentinels_look_up_the_primary_and_only_between_two_brpops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[Channel] = []
    poller: Any = kombu_redis.MultiChannelPoller
    monkeypatch.setattr(poller, "_register_BRPOP", lambda _, channel: registered.append(channel))
    monkeypatch.setattr(kombu_redis, "SentinelChannel", SentinelChannel)
    follow_primary()
    follow_primary()
    idle, polling, other = channels = [SentinelChannel(NEW), SentinelChannel(NEW), Channel(NEW)]
    idle._in_poll, polling._in_poll, other._in_poll = None, True, None  # type: ignore[attr-defined]
    for channel in channels:
        poller()._register_BRPOP(channel)
    assert registered == channels
    assert [channel.asked for channel in channels] == [1, 0, 0]
    assert isinstance(idle._sentinel_managed_pool(), PrimaryPool)


def test_the_patch_accepts_the_arguments_of_a_sentinel_channel() -> None:
    """kombu passes one positional argument; a worker with a sentinel:// address could not start."""
    guard_kombu()
    channel_class: Any = kombu_redis.SentinelChannel
    channel = channel_class.__new__(channel_class)
    channel.connection = None
    with pytest.raises(redis.ConnectionError, match="the transport was closed"):
        channel._connparams(False)  # noqa: FBT003 - as kombu does


def test_the_client_of_the_ledger_follows_the_primary_and_limits_the_wait_for_each_sentinel() -> None:
    with connect("sentinel://u:p%40@a:1,b:2/main/3?sentinel_password=s") as client:
        pool = client.connection_pool
        assert isinstance(pool, PrimaryPool)
        expected = {"db": 3, "username": "u", "password": "p@", "socket_timeout": 5}
        assert {name: pool.connection_kwargs[name] for name in expected} == expected
        sentinels = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        assert [(each["host"], each["port"], each["password"]) for each in sentinels] == [("a", 1, "s"), ("b", 2, "s")]
        assert all(each["socket_timeout"] <= 2 and each["retry"].get_retries() == 0 for each in sentinels)
