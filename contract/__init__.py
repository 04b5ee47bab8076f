"""Writes down for producers what the workers accept: `docs/asyncapi.yaml` and `docs/schemas`, made by `make schemas`.

Nothing that runs in production imports it: it needs a development tool.
"""
