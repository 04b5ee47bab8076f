"""A message that RabbitMQ redelivers may have killed its reader: a batch is split, and a lost connection is no
death.
"""

import json

import amqp
import pytest

from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.rabbitmq.conftest import OnRabbit
from tests.waiting import eventually
from worker.broker.rabbitmq import connect, declare
from worker.errors import NotReplicated
from worker.events.channels import TOPIC
from worker.intake.celery_envelope import body_of
from worker.intake.poison import DEATHS, Deliveries
from worker.intake.rabbitmq import RabbitReader


@pytest.fixture
def deliveries(nightly: OnRabbit) -> Deliveries:
    return Deliveries(nightly.redis, nightly.services.vault)


def reader_of(nightly: OnRabbit, deliveries: Deliveries) -> RabbitReader:
    parts = nightly.node.url, nightly.services.intake, deliveries
    return RabbitReader(*parts, on_recorded=lambda: None)


def die_with_it_in_hand(nightly: OnRabbit, deliveries: Deliveries, *, is_counted: bool) -> None:
    """Take a message, count it as a reader does with redelivered ones, and lose the connection."""
    reader = reader_of(nightly, deliveries)
    reader._open()
    eventually(lambda: reader._receive() or reader._held, describe="the message")
    if is_counted:
        message = reader._held[0]
        deliveries.take_in_hand(deliveries.name_of(str(message.headers.get("id", "")), body_of(message)))
    reader._connection.close()  # without an acknowledgement


@pytest.mark.parametrize("deaths", [1, DEATHS, 2 * DEATHS - 1])
def test_a_batch_whose_readers_died_is_split_and_loses_no_event(
    nightly: OnRabbit, deliveries: Deliveries, deaths: int
) -> None:
    with connect(nightly.node.url, heartbeat_seconds=0) as connection:
        declare(connection)
    nightly.send_plain([[cloud_event(login, on=True, minute=0) for login in new_logins(300)]])
    for death in range(deaths):
        die_with_it_in_hand(nightly, deliveries, is_counted=death > 0)
    reader = reader_of(nightly, deliveries)
    eventually(lambda: [reader.step(), nightly.tally().get("recorded", 0)][1] == 300, describe="all its events")
    assert nightly.letters() == []
    reader._connection.close()
    eventually(lambda: nightly.waiting() == 0, describe="an empty queue")


def test_only_the_events_of_a_batch_are_published_with_the_rights_of_a_worker(
    nightly: OnRabbit, deliveries: Deliveries
) -> None:
    with connect(nightly.node.url, heartbeat_seconds=0) as connection:
        declare(connection)
    batch = json.dumps([cloud_event(login, on=True, minute=0) for login in new_logins(3)]).encode()
    with nightly.node.connection() as connection:
        channel = connection.default_channel
        theirs = channel.queue_declare("", exclusive=True).queue
        message = amqp.Message(batch, content_type="application/json", application_headers={"CC": [theirs]})
        channel.basic_publish(message, TOPIC, routing_key="account.linked")
        die_with_it_in_hand(nightly, deliveries, is_counted=False)
        reader = reader_of(nightly, deliveries)
        eventually(lambda: [reader.step(), nightly.tally().get("recorded", 0)][1] == 3, describe="all its events")
        assert channel.queue_declare(theirs, passive=True).message_count == 0
    reader._connection.close()


def test_a_lost_connection_counts_as_no_death(nightly: OnRabbit, deliveries: Deliveries) -> None:
    with connect(nightly.node.url, heartbeat_seconds=0) as connection:
        declare(connection)
    nightly.send_plain([cloud_event(login, on=True, minute=0) for login in new_logins(1)])
    die_with_it_in_hand(nightly, deliveries, is_counted=False)
    for _ in range(3 * DEATHS):
        reader = reader_of(nightly, deliveries)
        reader._open()
        eventually(lambda: reader._receive() or reader._held, describe="the message")  # noqa: B023
        message = reader._held[0]
        reader._in_hand = deliveries.name_of(str(message.headers.get("id", "")), body_of(message))
        assert deliveries.take_in_hand(reader._in_hand) == 1
        reader._connection.close()
        reader._close()


def test_a_reader_that_stops_normally_with_a_suspect_in_hand_counts_as_no_death(
    nightly: OnRabbit, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(nightly.node.url, heartbeat_seconds=0) as connection:
        declare(connection)
    nightly.send_plain([cloud_event(login, on=True, minute=0) for login in new_logins(1)])
    die_with_it_in_hand(nightly, deliveries, is_counted=False)

    def refuse(_: object) -> bool:
        raise NotReplicated

    with monkeypatch.context() as patch:
        patch.setattr(nightly.services.intake, "accept_bodies", refuse)
        for _ in range(2 * DEATHS):
            reader = reader_of(nightly, deliveries)
            with pytest.raises(NotReplicated):
                eventually(reader.step, describe="the message")
            reader.leave()
            reader._connection.close()
    reader = reader_of(nightly, deliveries)
    eventually(lambda: [reader.step(), nightly.tally().get("recorded", 0)][1] == 1, describe="the event")
    assert nightly.letters() == []
    reader._connection.close()


def test_a_redelivered_compressed_batch_is_split_into_uncompressed_events(
    nightly: OnRabbit, deliveries: Deliveries
) -> None:
    with connect(nightly.node.url, heartbeat_seconds=0) as connection:
        declare(connection)
        batch = [cloud_event(login, on=True, minute=0) for login in new_logins(3)]
        connection.Producer().publish(batch, routing_key="account-events", serializer="json", compression="gzip")
    die_with_it_in_hand(nightly, deliveries, is_counted=False)
    reader = reader_of(nightly, deliveries)
    eventually(lambda: [reader.step(), nightly.tally().get("recorded", 0)][1] == 3, describe="all its events")
    assert nightly.letters() == []
    reader._connection.close()
