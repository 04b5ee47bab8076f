"""The OpenAPI document is valid and matches the models."""

import yaml
from openapi_spec_validator import validate

from docs.generator.openapi import document
from docs.generator.rendered import ROOT
from worker.events.models import CloudEvent


def test_the_document_is_valid_openapi() -> None:
    validate(yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text()))


def test_the_schemas_match_the_models() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["CloudEvent"]["properties"]) == set(CloudEvent.model_fields)
    assert schemas["CloudEvent"]["required"] == ["specversion", "id", "source", "type", "time", "data"]
    assert schemas["LoginData"]["oneOf"] == [{"required": ["loginId"]}, {"required": ["sealedLoginId"]}]
    assert schemas["LoginData"]["additionalProperties"] is False
