"""Celery's broker: its configuration (`celery_config.py`), RabbitMQ's topology, and probes for the watchdog."""
