"""Generates documents from models, settings, constants and the lock (`make schemas`); it adds no facts of its own.

asyncapi.py    events through Redis and RabbitMQ: docs/asyncapi.yaml
openapi.py     events over HTTP: docs/openapi.yaml
commands.py    every command: docs/commands.md
command_line.py  what `--json` prints: docs/schemas/cli.schema.json
schemas.py     JSON Schemas of an event: docs/schemas
settings.py    every setting: docs/settings.md and .env.example
licences.py    the licences of production's packages: docs/licences.md
rendered.py    the text of all these files
demo.py        the output of the demo and the picture of the review page in the README (`make readme`)
sbom.py        the software bill of materials, which is not committed

Production never imports it: it needs development tools.
"""
