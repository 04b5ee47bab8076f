"""Nightly with RabbitMQ as its broker; without a `rabbitmq-server` on PATH these tests are skipped with a reason."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from celery import Celery

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, OrphanGuard
from tests.integration.celery_worker.conftest import Nightly
from tests.integration.conftest import emulator, stack  # noqa: F401 - fixtures that this folder uses as well
from tests.rabbitmq.node import HOW, RabbitNode, server_script
from tests.waiting import eventually
from worker.broker.rabbitmq import look
from worker.events.channels import EVENTS_QUEUE, QUEUES, TOPIC
from worker.services import build_services


@pytest.fixture(scope="session")
def rabbit_node(tmp_path_factory: pytest.TempPathFactory, orphan_guard: OrphanGuard) -> Iterator[RabbitNode]:
    """A RabbitMQ for the whole session."""
    if server_script() is None:
        pytest.skip(HOW)
    with RabbitNode(tmp_path_factory.mktemp("rabbitmq"), guard=orphan_guard) as node:
        yield node


@pytest.fixture
def rabbit(rabbit_node: RabbitNode) -> RabbitNode:
    """The session's RabbitMQ, without our queues and exchanges."""
    with rabbit_node.connection() as connection:
        for name in QUEUES:
            connection.channel().queue_delete(name)
            connection.channel().exchange_delete(name)
        connection.channel().exchange_delete(TOPIC)
    return rabbit_node


@dataclass
class OnRabbit(Nightly):
    """The system under test, and its producers."""

    node: RabbitNode

    def send_with_celery(self, events: Iterable[Mapping[str, Any]], *, link: Any = None, **settings: Any) -> None:
        """Send events as a Celery client that knows only the names."""
        options = {"confirm_publish": True}
        with Celery(broker=self.node.url, broker_transport_options=options, set_as_current=False) as app:
            app.conf.update(settings)
            for event in events:
                arguments = {
                    "login_id": event["data"]["loginId"],
                    "occurred_at": event["time"],
                    "event_id": event["id"],
                }
                app.send_task(event["type"], kwargs=arguments, queue=EVENTS_QUEUE, link=link)

    def send_plain(self, events: Iterable[Any], *, content_type: str = "application/cloudevents+json") -> None:
        """Publish CloudEvents on the topic exchange by their type; each one is confirmed."""
        with self.node.connection() as connection, connection.Producer() as producer:
            for event in events:
                first = event[0] if isinstance(event, list) else event
                options = {"exchange": TOPIC, "routing_key": first["type"], "content_type": content_type}
                producer.publish(
                    json.dumps(event), content_encoding="utf-8", delivery_mode=2, mandatory=True, **options
                )

    def waiting(self) -> int:
        """The number of messages that wait in the event queue."""
        state = look(self.node.url)[EVENTS_QUEUE]
        return state.waiting if state else 0

    def is_at_rest(self) -> bool:
        """Return whether nothing is due, waiting, in flight or unread."""
        return self.waiting() == 0 and super().is_at_rest()

    def worker_reads(self) -> None:
        """Wait until a worker reads the queue."""

        def reads() -> bool:
            state = look(self.node.url)[EVENTS_QUEUE]
            return bool(state and state.consumers)

        eventually(reads, seconds=30, describe="a reader of the queue")


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    """Override in a test module to change the workers' settings."""
    return {}


@pytest.fixture
def nightly(
    rabbit: RabbitNode,
    stack: EmbeddedStack,  # noqa: F811
    emulator: EmulatorControl,  # noqa: F811
    settings_for_workers: dict[str, str],
) -> Iterator[OnRabbit]:
    """Everything but a worker: call `nightly.stack.start_worker()`."""
    stack.environment |= {"FLINKS_CALLS_PER_SECOND": "1000", "BROKER_URL": rabbit.url} | settings_for_workers
    services = build_services(stack.settings())
    yield OnRabbit(stack, emulator, services, services.redis, rabbit)
    services.redis.close()
    for worker in stack.workers:
        worker.kill()  # nothing here is about how it stops
