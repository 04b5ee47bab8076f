"""Celery's configuration, for Redis, Sentinel and RabbitMQ as broker. Evidence for each line: docs/adr/0002.

Celery executes but never stores: each message is a hint, or is recorded before it is acknowledged. No setting here
trades safety for speed.
"""

import os
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from kombu import Exchange, Queue

from worker.broker.rabbitmq import HEARTBEAT_SECONDS, OPTIONS, address, is_rabbit
from worker.config.settings import Settings
from worker.events.channels import BACKFILL_QUEUE, EVENTS_QUEUE, QUEUES, REFRESH_QUEUE
from worker.redis_client.connect import SENTINEL_OPTIONS
from worker.redis_client.sentinel_url import SentinelAddress

KOMBU_SEPARATOR = "\x06\x16"
"""Separates the parts of kombu's key names in Redis, such as a queue and a priority."""
_REDIS = ("redis://", "rediss://", "unix://", "sentinel://")


def default_concurrency() -> int:
    """Return one slot for intake plus one reconciler per core, at most four; one makes over 1,000 calls a second."""
    return min(os.cpu_count() or 1, 4) + 1


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration for these settings."""
    url, transport_options = kombu_address(_broker_url(settings))
    return {
        "broker_url": url,
        "broker_transport_options": transport_options,
        "broker_use_ssl": address(_broker_url(settings))[1],
        "broker_heartbeat": HEARTBEAT_SECONDS,  # only for AMQP connections
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # Redis may be unreachable for hours
        "broker_channel_error_retry": True,  # a full Redis must not end the workers that would empty it
        "broker_connection_timeout": 4,
        "result_backend": None,
        "task_ignore_result": True,
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_queues": [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES],
        "task_default_queue": EVENTS_QUEUE,
        "task_create_missing_queues": False,
        "task_routes": {"refresh.*": {"queue": REFRESH_QUEUE}, "backfill.*": {"queue": BACKFILL_QUEUE}},
        "task_publish_retry": False,  # a lost hint is sent again by the next pulse
        "worker_concurrency": default_concurrency(),
        "worker_consumer": "worker.celery_worker.consumer:CarefulConsumer",
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
    }


def redis_broker(settings: Settings) -> str:
    """Return the broker's address for `redis_client.connect` if it is a Redis, else ""."""
    url = _broker_url(settings)
    return url if url.startswith(_REDIS) else ""


def _broker_url(settings: Settings) -> str:
    secret = settings.broker_url or settings.redis_url
    return secret.get_secret_value() if secret else ""


def kombu_address(url: str) -> tuple[str, dict[str, Any]]:
    """Return kombu's URL and transport options for a broker address from our settings."""
    scheme = urlsplit(url).scheme
    if is_rabbit(url):
        return address(url)[0], dict(OPTIONS)
    options: dict[str, Any] = {
        "visibility_timeout": 60,  # longer than any task; then a killed worker's messages are delivered again
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 5,  # a frozen connection is closed after two of these, or three for remote control
        "max_connections": 64,
    }
    if scheme == "unix":
        options.pop("socket_keepalive")
    if scheme == "sentinel":
        return _sentinel(url, options)
    return _as_kombu_reads_it(url), options


def _as_kombu_reads_it(url: str) -> str:
    """Translate a redis-py URL for kombu: the database, and verification of certificates."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    database = query.pop("db", None)
    if parts.scheme == "unix":
        query |= {"virtual_host": database} if database else {}
        return f"redis+socket://{parts.netloc}{parts.path}" + (f"?{urlencode(query)}" if query else "")
    if parts.scheme == "rediss":
        query.setdefault("ssl_cert_reqs", "required")  # by default kombu does not verify
    path = f"/{database}" if database else parts.path
    return urlunsplit(parts._replace(path=path, query=urlencode(query)))


def _sentinel(url: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Translate `sentinel://[user:password@]a:1,b:2/service/db` for kombu."""
    address = SentinelAddress.read(url)
    login = urlsplit(url).netloc.rpartition("@")[:2]
    nodes = [f"sentinel://{''.join(login)}{_host(host)}:{port}/{address.database}" for host, port in address.nodes]
    sentinel_kwargs = {**SENTINEL_OPTIONS, **address.sentinel_login}
    return ";".join(nodes), {**options, "master_name": address.service, "sentinel_kwargs": sentinel_kwargs}


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
