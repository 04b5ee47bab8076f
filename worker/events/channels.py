"""The names by which producers and workers find each other: queues, exchange and stream."""

EVENTS_QUEUE, REFRESH_QUEUE, BACKFILL_QUEUE = "account-events", "refresh", "backfill"
QUEUES = (EVENTS_QUEUE, REFRESH_QUEUE, BACKFILL_QUEUE)
"""Celery's queues; each is also the name of its direct exchange and its routing key."""
TOPIC = "account-events.topic"
"""RabbitMQ's topic exchange for producers without a Celery client; the event's type is the routing key."""
STREAM = "account-events:stream"
"""The Redis stream of CloudEvents."""
