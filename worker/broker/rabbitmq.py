"""Decides how we reach RabbitMQ and what must be there: connection, exchanges, queues, bindings (docs/adr/0013).

Celery's clients declare the queue of events and a direct exchange of its name, both durable, before they send; what
is declared here must be the same, or they would be refused. A queue that is there already is taken as it is, so an
operator may have made it a quorum queue.
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
"""A connection that says nothing for two of these is left, on either side."""
CONNECT_SECONDS = 4
ANSWER_SECONDS = 5
"""A broker out of memory or disk stops reading from producers: what it has not confirmed by then failed."""

OPTIONS: dict[str, Any] = {"confirm_publish": True, "write_timeout": ANSWER_SECONDS}
"""kombu's transport options."""
_TLS_FILES = {"ssl_ca_certs": "ca_certs", "ssl_certfile": "certfile", "ssl_keyfile": "keyfile"}


@dataclass(frozen=True, slots=True)
class QueueState:
    """How one queue is: messages that wait, without those that a worker has in hand, and who reads it."""

    waiting: int
    consumers: int


def is_rabbit(url: str) -> bool:
    """Say whether a broker's address is RabbitMQ's."""
    return urlsplit(url).scheme in {"amqp", "amqps"}


def rabbit_of(settings: Settings) -> str:
    """Return the address of RabbitMQ, if that is the broker; else empty."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    return url if is_rabbit(url) else ""


def address(url: str) -> tuple[str, dict[str, Any] | None]:
    """Return the URL without TLS' parameters, and these as py-amqp takes them; None where it is no amqps://.

    The certificate and the host's name in it are verified, unless `ssl_cert_reqs=none` says otherwise.
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


def connect(url: str, *, heartbeat_seconds: int = 0) -> Any:
    """Return a kombu connection to RabbitMQ on which nothing waits for longer than ANSWER_SECONDS.

    Whoever asks for a heartbeat must call its `heartbeat_check` often. Raises OperationalError.
    """
    plain, tls = address(url)
    connection: Any = Connection(
        plain,
        ssl=tls or False,
        heartbeat=heartbeat_seconds,
        connect_timeout=CONNECT_SECONDS,
        transport_options=OPTIONS,
    )
    connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    connection.connection.transport.sock.settimeout(ANSWER_SECONDS)  # py-amqp would wait for a frozen broker for ever
    return connection


def declare(connection: Any) -> None:
    """Make what is not there yet: the queues, the two exchanges, and what binds them. Raises AMQP errors."""
    for name in QUEUES:
        if state_of(connection, name) is None:
            _on_own_channel(connection, _make_queue, name)
    _on_own_channel(connection, _bind_events, EVENTS_QUEUE)


def state_of(connection: Any, name: str) -> QueueState | None:
    """Return how a queue is; None: there is no such queue. Raises AMQP errors."""
    channel = connection.channel()
    try:
        _, waiting, consumers = channel.queue_declare(name, passive=True)
    except NotFound:  # which has closed the channel
        return None
    channel.close()
    return QueueState(waiting, consumers)


def look(url: str) -> dict[str, QueueState | None]:
    """Return how each of our queues is. Raises what connecting raises."""
    with connect(url) as connection:
        return {name: state_of(connection, name) for name in QUEUES}


def _on_own_channel(connection: Any, what: Any, name: str) -> None:
    with connection.channel() as channel:
        what(channel, name)


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
