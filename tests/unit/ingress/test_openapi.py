"""docs/openapi.yaml is what the code says."""

import yaml
from openapi_spec_validator import validate

from tests import openapi
from worker.events import CloudEvent
from worker.ingress.openapi import document


def test_the_document_is_up_to_date() -> None:
    assert openapi.PATH.read_text() == openapi.text(), "run: python -m tests.openapi"


def test_the_document_is_valid_openapi() -> None:
    validate(yaml.safe_load(openapi.PATH.read_text()))


def test_the_schemas_say_what_the_models_say() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["CloudEvent"]["properties"]) == set(CloudEvent.model_fields)
    assert schemas["CloudEvent"]["required"] == ["specversion", "id", "source", "type", "time", "data"]
    assert schemas["LoginData"]["required"] == ["loginId"]
    assert schemas["LoginData"]["additionalProperties"] is False
