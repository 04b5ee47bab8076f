"""Takes events in from the stream, Celery's queue and RabbitMQ: records them (`accept.py`) or rejects them.

Events over HTTP reach the stream first (`worker/web/webhook`).
"""
