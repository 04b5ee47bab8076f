"""The accepted addresses: Redis, brokers, and Flinks over TLS except on loopback."""

import pytest

from tests.unit.config.loading import Set, refused
from worker.config.settings import Settings


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_plain_http_is_accepted_for_loopback(env: Set, host: str) -> None:
    env(FLINKS_BASE_URL=f"http://{host}:8000/", FLINKS_AUTH_KEY="k")
    assert Settings.load().instances()["toolbox"].base_url == f"http://{host}:8000"


@pytest.mark.parametrize(
    "url",
    [
        "http://flinks.example",
        "http://localhost.flinks.example",
        "http://127.0.0.1.nip.io",
        "http://localhost@flinks.example",
        "http://{instance}",
        "http://0.0.0.0",
        "HTTP://flinks.example",
    ],
)
def test_plain_http_to_any_other_host_is_refused(env: Set, url: str) -> None:
    env(FLINKS_BASE_URL=url)
    assert refused() == [
        "FLINKS_BASE_URL: must be https, because the loginId is a secret; plain http is for loopback only"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://:p%23w@h:6380/1",
        "rediss://u:p@h/0",
        "unix:///run/redis.sock",
        "sentinel://:p@a:1,b:2/service/0",
    ],
)
def test_every_kind_of_redis_address_is_accepted_for_ledger_and_broker(env: Set, url: str) -> None:
    env(REDIS_URL=url, BROKER_URL=url)
    settings = Settings.load()
    assert settings.redis_url == settings.broker_url
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


def test_the_broker_may_be_several_rabbitmqs(env: Set) -> None:
    env(BROKER_URL="amqp://a:1//;amqp://b:2//")
    assert Settings.load().broker_url is not None
