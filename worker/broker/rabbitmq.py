"""Connects to RabbitMQ and declares exchanges, queues and bindings (docs/adr/0013).

Celery's clients declare the event queue and a direct exchange of the same name, both durable, before they send. The
declarations here must match, or RabbitMQ refuses the clients. An existing queue is used as it is, so an operator may
have created a quorum queue.
"""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from amqp.exceptions import NotFound
from kombu import Connection

from worker.config.settings import Settings
from worker.events.channels import EVENTS_QUEUE, QUEUES, TOPIC
from worker.events.contract import EVENT_TYPES

HEARTBEAT_SECONDS = 20
"""Either side closes a connection that is silent for two of these."""
CONNECT_SECONDS = 4
ANSWER_SECONDS = 5
"""Timeout for an answer. A broker out of memory or disk stops reading; an unconfirmed message counts as failed."""

OPTIONS: dict[str, Any] = {"confirm_publish": True, "write_timeout": ANSWER_SECONDS}
"""kombu's transport options."""
_TLS_FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of one queue: waiting messages (without unacknowledged ones) and the number of consumers."""

    waiting: int
    consumers: int


def is_rabbit(url: str) -> bool:
    """Return whether a broker's address is that of a RabbitMQ."""
    return urlsplit(url).scheme in {"amqp", "amqps"}


def rabbit_of(settings: Settings) -> str:
    """Return RabbitMQ's address if it is the broker, else ""."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    return url if is_rabbit(url) else ""


def address(url: str) -> tuple[str, dict[str, Any] | None]:
    """Return the URL without its TLS parameters, and py-amqp's TLS options (None unless the URL is amqps://).

    The certificate and its host name are verified, except with `ssl_cert_reqs=none`.
    """
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return url, None
    query = dict(parse_qsl(parts.query))
    options: dict[str, Any] = {name: query.pop(key) for key, name in _TLS_FILES.items() if key in query}
    if query.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_") == "none":
        options["cert_reqs"] = ssl.CERT_NONE
    else:
        options |= {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": parts.hostname or "localhost"}
    return urlunsplit(parts._replace(query=urlencode(query))), options


def connect(url: str, *, heartbeat_seconds: int = 0, seconds: float = ANSWER_SECONDS) -> Any:
    """Return a kombu connection to RabbitMQ, each of whose answers may take `seconds`; raises OperationalError.

    With a heartbeat, the caller must call the connection's `heartbeat_check` often.
    """
    plain, tls = address(url)
    connect_seconds = min(CONNECT_SECONDS, seconds)
    connection: Any = Connection(
        plain,
        ssl=tls or False,
        heartbeat=heartbeat_seconds,
        connect_timeout=connect_seconds,
        transport_options=OPTIONS,
    )
    connection.ensure_connection(max_retries=1, interval_start=0, timeout=connect_seconds)
    connection.connection.transport.sock.settimeout(seconds)  # py-amqp waits for a frozen broker without limit
    return connection


def declare(connection: Any) -> None:
    """Declare the missing queues, the two exchanges and their bindings. Raises AMQP errors."""
    for name in QUEUES:
        if state_of(connection, name) is None:
            _on_own_channel(connection, _make_queue, name)
    _on_own_channel(connection, _bind_events, EVENTS_QUEUE)


def state_of(connection: Any, name: str) -> QueueState | None:
    """Return the state of a queue, or None if it does not exist. Raises AMQP errors."""
    channel = connection.channel()
    try:
        _, waiting, consumers = channel.queue_declare(name, passive=True)
    except NotFound:  # RabbitMQ has closed the channel
        return None
    channel.close()
    return QueueState(waiting, consumers)


def look(url: str, *, seconds: float = ANSWER_SECONDS) -> dict[str, QueueState | None]:
    """Return the state of each of our queues; each answer may take `seconds`. Raises the errors of connecting."""
    with connect(url, seconds=seconds) as connection:
        return {name: state_of(connection, name) for name in QUEUES}


def _on_own_channel(connection: Any, action: Any, name: str) -> None:
    with connection.channel() as channel:
        action(channel, name)


def _make_queue(channel: Any, name: str) -> None:
    channel.exchange_declare(name, "direct", durable=True, auto_delete=False)
    channel.queue_declare(name, durable=True, auto_delete=False)
    channel.queue_bind(name, name, routing_key=name)


def _bind_events(channel: Any, name: str) -> None:
    channel.exchange_declare(name, "direct", durable=True, auto_delete=False)
    channel.exchange_declare(TOPIC, "topic", durable=True, auto_delete=False)
    for event_type in EVENT_TYPES:
        channel.queue_bind(name, TOPIC, routing_key=event_type)
        channel.queue_bind(name, name, routing_key=event_type)
