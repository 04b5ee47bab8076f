"""Renders the published files; the same models always give the same bytes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from docs.generator import asyncapi, command_line, commands, licences, openapi, schemas, settings

ROOT = Path(__file__).resolve().parents[2]
_HEAD = "# Made by `make schemas` from worker/events and docs/generator: make changes there.\n"


@cache
def rendered() -> dict[str, str]:
    """Return the text of every generated file by its path below the root; do not change the result."""
    return {
        ".env.example": settings.example(),
        "docs/asyncapi.yaml": _HEAD + _yaml(asyncapi.document()),
        "docs/openapi.yaml": _HEAD + _yaml(openapi.document()),
        "docs/commands.md": commands.page(),
        "docs/licences.md": licences.page(),
        "docs/settings.md": settings.page(),
        "docs/schemas/cli.schema.json": _json(command_line.schema()),
        **{f"docs/schemas/{name}": _json(schema) for name, schema in schemas.documents().items()},
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, width=1_000)


class _Plain(yaml.SafeDumper):
    """Writes text of several lines as a block, and uses no anchors."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)
