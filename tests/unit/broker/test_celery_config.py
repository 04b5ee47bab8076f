"""The Celery settings that keep an event from being lost or a worker from stopping."""

import ssl
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from worker.broker.celery_config import celery_settings, default_concurrency, redis_broker
from worker.config.settings import Settings
from worker.events.channels import QUEUES


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> Any:
    def build(redis_url: str = "redis://h:6380/1", broker_url: str = "") -> dict[str, Any]:
        monkeypatch.setenv("REDIS_URL", redis_url)
        monkeypatch.setenv("BROKER_URL", broker_url)
        return celery_settings(Settings.load())

    return build


def test_every_setting_is_one_that_celery_knows(conf: Any) -> None:
    app = Celery("probe", set_as_current=False)
    app.conf.update(conf())
    known = app.conf.table(with_defaults=True)
    assert set(conf()) <= set(known)
    assert app.conf.broker_url == "redis://h:6380/1"


def test_only_json_is_accepted_and_no_result_is_stored(conf: Any) -> None:
    given = conf()
    assert given["accept_content"] == ["json"]
    assert given["task_serializer"] == "json"
    assert (given["result_backend"], given["task_ignore_result"]) == (None, True)


def test_a_worker_waits_for_its_broker_without_a_limit(conf: Any) -> None:
    given = conf()
    assert given["broker_connection_retry_on_startup"] is True
    assert given["broker_connection_max_retries"] is None
    assert given["broker_channel_error_retry"] is True


def test_no_task_event_can_carry_a_login(conf: Any) -> None:
    assert conf()["worker_send_task_events"] is False


def test_tasks_go_to_their_queues_and_no_other_queue_is_made(conf: Any) -> None:
    app = Celery("probe", set_as_current=False)
    app.conf.update(conf())
    assert [queue.name for queue in app.conf.task_queues] == list(QUEUES) == ["account-events", "refresh", "backfill"]
    assert app.conf.task_create_missing_queues is False
    routed = {name: app.amqp.router.route({}, name)["queue"].name for name in ("refresh.reconcile", "backfill.feed")}
    assert routed == {"refresh.reconcile": "refresh", "backfill.feed": "backfill"}
    assert app.amqp.router.route({}, "account.linked")["queue"].name == "account-events"


def test_a_message_of_a_killed_worker_returns_soon(conf: Any) -> None:
    options = conf()["broker_transport_options"]
    assert (options["visibility_timeout"], options["unacked_restore_interval"]) == (60, 5)
    assert options["socket_timeout"] > options["socket_connect_timeout"] > 0
    assert options["socket_keepalive"] is True


@pytest.mark.parametrize("url", ["amqp://u:p@h:5672//v", "amqps://h//"])
def test_rabbitmq_confirms_messages_and_a_silent_connection_is_closed(conf: Any, url: str) -> None:
    given = conf(broker_url=url)
    assert given["broker_url"] == url
    assert given["broker_transport_options"]["confirm_publish"] is True
    assert given["broker_heartbeat"] == 20


def test_certificate_and_name_of_rabbitmq_are_verified_by_default(conf: Any) -> None:
    plain = conf(broker_url="amqps://u:p@h:5671//v")["broker_use_ssl"]
    assert plain == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "h"}
    files = conf(broker_url="amqps://h/v?ssl_ca_certs=/ca.pem&ssl_certfile=/us.pem&ssl_keyfile=/us.key")
    assert files["broker_url"] == "amqps://h/v"
    assert files["broker_use_ssl"] == plain | {"ca_certs": "/ca.pem", "certfile": "/us.pem", "keyfile": "/us.key"}
    assert conf(broker_url="amqps://h/v?ssl_cert_reqs=none")["broker_use_ssl"] == {"cert_reqs": ssl.CERT_NONE}
    assert conf(broker_url="amqp://h/v")["broker_use_ssl"] is None


def test_the_address_of_a_unix_socket_has_the_form_of_kombu(conf: Any) -> None:
    given = conf("unix:///run/redis.sock")
    assert given["broker_url"] == "redis+socket:///run/redis.sock"
    assert "socket_keepalive" not in given["broker_transport_options"]
    assert _connection_parameters(given)["path"] == "/run/redis.sock"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6380/1", {"host": "h", "port": 6380, "db": 1, "password": None}),
        ("redis://h", {"host": "h", "port": 6379, "db": 0}),
        ("redis://u:p%23w@h/0", {"username": "u", "password": "p#w"}),
        ("redis://:p%40w@h/0", {"username": None, "password": "p@w"}),
        ("redis://h?db=3", {"host": "h", "db": 3}),
        ("unix:///r.sock?db=2", {"path": "/r.sock", "db": 2}),
        ("rediss://h/1", {"db": 1, "ssl_cert_reqs": ssl.CERT_REQUIRED}),
        ("rediss://h/1?ssl_cert_reqs=optional", {"ssl_cert_reqs": ssl.CERT_OPTIONAL}),
    ],
)
def test_kombu_connects_to_the_address_of_the_ledger(conf: Any, url: str, expected: dict[str, Any]) -> None:
    parameters = _connection_parameters(conf(url))
    assert {name: parameters.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "broker", "service"),
    [
        ("sentinel://a:1,b:2/main", "sentinel://a:1/0;sentinel://b:2/0", "main"),
        ("sentinel://u:p@a:1,b:2/main/3", "sentinel://u:p@a:1/3;sentinel://u:p@b:2/3", "main"),
        (
            "sentinel://u:p%40@a,[::1]:2/main?sentinel_password=s",
            "sentinel://u:p%40@a:26379/0;sentinel://u:p%40@[::1]:2/0",
            "main",
        ),
    ],
)
def test_sentinels_are_named_one_by_one(conf: Any, url: str, broker: str, service: str) -> None:
    given = conf(url)
    assert given["broker_url"] == broker
    assert given["broker_transport_options"]["master_name"] == service
    assert given["broker_transport_options"]["visibility_timeout"] == 60
    kwargs = given["broker_transport_options"]["sentinel_kwargs"]
    assert kwargs.get("password") == ("s" if "sentinel_password" in url else None)
    assert kwargs["socket_timeout"] <= 2


def test_without_an_address_no_broker_is_guessed() -> None:
    assert celery_settings(Settings.load())["broker_url"] == ""


def test_the_pool_has_a_slot_for_intake_beside_the_reconcilers() -> None:
    assert 2 <= default_concurrency() <= 5


def _connection_parameters(given: dict[str, Any]) -> dict[str, Any]:
    connection = Connection(given["broker_url"], transport_options=given["broker_transport_options"])
    channel_class: Any = connection.transport.Channel
    probe = channel_class.__new__(channel_class)
    probe.connection = connection.transport
    probe.connection.client = connection
    for name in ("socket_timeout", "socket_connect_timeout", "socket_keepalive", "max_connections"):
        setattr(probe, name, None)
    parameters: dict[str, Any] = probe._connparams()
    return parameters


@pytest.mark.parametrize("url", ["redis://h/1", "rediss://h/1", "unix:///tmp/r.sock", "sentinel://a,b/name/0"])
def test_a_redis_broker_can_be_read_without_celery(url: str) -> None:
    assert redis_broker(Settings(redis_url=url)) == url  # type: ignore[arg-type] # as from the environment
    assert redis_broker(Settings(redis_url="redis://h/1", broker_url=url)) == url  # type: ignore[arg-type]


def test_a_rabbitmq_broker_is_not_read_as_redis() -> None:
    assert redis_broker(Settings(redis_url="redis://h/1", broker_url="amqp://h//")) == ""  # type: ignore[arg-type]
