"""Celery tasks: what happens for each message."""
