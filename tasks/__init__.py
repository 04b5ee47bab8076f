"""Celery tasks: one for each event type, and the two that workers send each other.

A worker's readers take event messages off the stream and the event queue in batches, and dispatch each batch to the
task of its type (`EventTask.accept`). Celery itself runs an event task only for a message on another queue.
"""
