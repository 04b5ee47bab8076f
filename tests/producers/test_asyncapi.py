"""The published document is valid for AsyncAPI's own schema, from its own package."""

import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

from tests.places import ROOT


def test_the_document_is_valid_asyncapi(node_modules: Path) -> None:
    document = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
    validator = _schema_of(node_modules, document["asyncapi"])

    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(document)] == []
    document["channels"]["stream"]["adress"] = document["channels"]["stream"].pop("address")
    assert not validator.is_valid(document), "the schema accepts every document"


def _schema_of(node_modules: Path, version: str) -> Any:
    folder = node_modules / "@asyncapi" / "specs" / "schemas"
    return Draft7Validator(json.loads((folder / f"{version}-without-$id.json").read_text()))
