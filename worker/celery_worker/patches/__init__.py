"""Corrects faults of Celery, kombu, py-amqp and billiard; each file names them."""
