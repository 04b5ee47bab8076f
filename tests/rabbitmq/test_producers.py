"""Every way of sending through RabbitMQ leads to a call."""

from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.producers.snippets import snippets
from tests.rabbitmq.conftest import OnRabbit
from tests.waiting import eventually
from worker.events.channels import EVENTS_QUEUE


def test_a_celery_client_and_a_plain_producer_both_reach_flinks(nightly: OnRabbit) -> None:
    by_celery, by_topic, in_array, as_json, as_documented = new_logins(5)
    nightly.send_with_celery([cloud_event(by_celery, on=True, minute=0)])  # before any worker declared anything
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    nightly.send_with_celery([cloud_event(by_celery, on=False, minute=1)])
    nightly.send_plain([cloud_event(by_topic, on=True, minute=0), [cloud_event(in_array, on=False, minute=0)]])
    nightly.send_plain([cloud_event(as_json, on=True, minute=0)], content_type="application/json")
    (snippet,) = (one.code for one in snippets("docs/operating.md") if "import Connection" in one.code)
    for placeholder, value in {"amqp://localhost": nightly.node.url, "your-login-id": as_documented}.items():
        assert placeholder in snippet
        snippet = snippet.replace(placeholder, value)
    exec(snippet, {})
    wanted = {by_celery: False, by_topic: True, in_array: False, as_json: True, as_documented: True}
    eventually(lambda: nightly.flags() == wanted, seconds=20, describe="the calls")
    assert nightly.letters() == []
    assert worker.is_running


def test_a_quorum_queue_made_by_an_operator_is_read_unchanged_over_tls(nightly: OnRabbit) -> None:
    by_celery, by_topic = new_logins(2)
    with nightly.node.connection() as connection:
        connection.default_channel.queue_declare(
            EVENTS_QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
        )
    nightly.stack.environment["BROKER_URL"] = nightly.node.tls_url
    worker = nightly.stack.start_worker(ready=lambda worker: " ready." in worker.output())
    nightly.worker_reads()
    events = [cloud_event(by_celery, on=True, minute=0)]
    nightly.send_with_celery(events, task_create_missing_queue_type="quorum")
    nightly.send_plain([cloud_event(by_topic, on=False, minute=0)])
    eventually(lambda: nightly.flags() == {by_celery: True, by_topic: False}, seconds=20, describe="the calls")
    assert worker.is_running, worker.tail()
