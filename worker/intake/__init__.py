"""Takes events in: from the stream, from Celery's queues, from RabbitMQ."""
