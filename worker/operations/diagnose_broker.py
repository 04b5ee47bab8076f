"""Checks Celery's broker if it is not the ledger's Redis: whether it answers, and RabbitMQ's queues and consumers."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from worker.config.settings import Settings
from worker.operations import stream_checks
from worker.operations.checks import Check, Level
from worker.redis_client.error_messages import place_of

CONNECT_SECONDS = 5


def examine_broker(settings: Settings) -> Iterator[Check]:
    """Yield the checks of BROKER_URL; none if it is not set, or names the ledger's Redis."""
    if settings.broker_url is None or settings.broker_url == settings.redis_url:
        return
    url = settings.broker_url.get_secret_value()
    if urlsplit(url).scheme.startswith("amqp"):
        yield from _rabbit(url)
    else:
        yield _another_redis(url)


def _rabbit(url: str) -> Iterator[Check]:
    from worker.broker.rabbitmq import look  # noqa: PLC0415 - heavy, and rarely needed

    try:
        queues = look(url)
    except Exception as error:  # noqa: BLE001 - the text may hold the address
        yield Check("RabbitMQ", Level.FAIL, f"no connection ({reason_of(error)})", "Check BROKER_URL and RabbitMQ.")
    else:
        yield Check("RabbitMQ", Level.OK, f"answers at {urlsplit(url).hostname or 'localhost'}")
        for name, state in queues.items():
            waiting, consumers = (state.waiting, state.consumers) if state else (None, 0)
            yield stream_checks.check_queue(name, waiting=waiting, consumers=consumers)


def _another_redis(url: str) -> Check:
    from kombu import Connection  # noqa: PLC0415 - heavy, and rarely needed

    from worker.broker.celery_config import kombu_address  # noqa: PLC0415 - the same

    try:
        place = place_of(url)
        address, options = kombu_address(url)
        with Connection(address, connect_timeout=CONNECT_SECONDS, transport_options=options) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    except Exception as error:  # noqa: BLE001 - each transport raises its own; the text may hold the address
        return Check(
            "broker", Level.FAIL, f"no connection ({type(error).__name__})", "Check BROKER_URL and the broker."
        )
    return Check("broker", Level.OK, f"answers at {place}")


def reason_of(error: BaseException) -> str:
    """Return why RabbitMQ cannot be reached, without any part of its address."""
    cause = error.__cause__ or error
    reasons = {
        "AccessRefused": "it refuses this user or password",
        "NotAllowed": "the virtual host does not exist, or this user may not use it",
    }
    if type(cause).__name__ in reasons:
        return reasons[type(cause).__name__]
    if isinstance(cause, ssl.SSLError):
        return f"TLS fails, {cause.reason or 'no reason given'}"
    if isinstance(cause, socket.gaierror):
        return "its host is unknown"
    return type(cause).__name__
