"""Writes down for producers what the workers accept, made by `make schemas`; nothing here is a second source of it.

asyncapi.py    the ways in through Redis and RabbitMQ: docs/asyncapi.yaml
openapi.py     the way in over HTTP: docs/openapi.yaml
schemas.py     what an event looks like, for both of Redis' ways in: docs/schemas
rendered.py    how all of them are written

Nothing that runs in production imports it: it needs a development tool.
"""
