"""Turns the models of worker/cli into one JSON Schema for what the commands print with `--json`."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from docs.generator.schemas import DRAFT
from worker.cli.health import Health
from worker.operations import documents, job_documents, state_documents
from worker.operations.json_form import Document

OUTPUTS: Mapping[str, type[Document] | tuple[type[Document], ...]] = {
    "status": state_documents.Status,
    "explain": (documents.Login, documents.Letter),
    "publish": documents.Published,
    "health": Health,
    "doctor": state_documents.Check,
    "gate show": state_documents.Gate,
    "gate close": state_documents.Gate,
    "gate open": state_documents.Gate,
    "dead-letters groups": documents.Group,
    "dead-letters list": documents.Letter,
    "dead-letters show": documents.Letter,
    "dead-letters export": documents.Letter,
    "dead-letters replay": documents.Decision,
    "dead-letters resolve": documents.Decision,
    "audit-log list": documents.AuditEntry,
    "audit-log verify": documents.AuditVerification,
    "bulk list": job_documents.BulkJob,
    "bulk show": job_documents.BulkJob,
    "bulk count": job_documents.Preflight,
    "bulk run": job_documents.BulkJob,
    "bulk pause": job_documents.BulkJob,
    "bulk resume": job_documents.BulkJob,
    "bulk cancel": job_documents.BulkJob,
    "bulk report": job_documents.BulkRow,
    "backfill start": job_documents.Backfill,
    "backfill start --dry-run": job_documents.Forecast,
    "backfill list": job_documents.Backfill,
    "backfill show": job_documents.Backfill,
    "backfill pause": job_documents.Backfill,
    "backfill resume": job_documents.Backfill,
    "backfill cancel": job_documents.Backfill,
    "backfill report": job_documents.ReportRow,
}
"""Commands, and the object that each prints one of on a line."""


def schema() -> dict[str, Any]:
    """Return the schema: any object of any command, and under `commands` the object of each."""
    models = list(dict.fromkeys(model for output in OUTPUTS.values() for model in _models(output)))
    _, found = models_json_schema([(model, "serialization") for model in models], ref_template="#/definitions/{model}")
    return {
        "$schema": DRAFT,
        "title": "Output of nightly COMMAND --json",
        "description": "One object on a line. Times are ISO 8601 in UTC with milliseconds and end in _at, durations "
        "end in _seconds or _ms, a wish is on or off, and what is not known is null. Later versions may add names.",
        "anyOf": [_reference(model) for model in models],
        "commands": {
            command: {"anyOf": [_reference(model) for model in _models(output)]} for command, output in OUTPUTS.items()
        },
        "definitions": {name: _untitled(definition) for name, definition in sorted(found["$defs"].items())},
    }


def _models(output: type[Document] | tuple[type[Document], ...]) -> tuple[type[Document], ...]:
    return output if isinstance(output, tuple) else (output,)


def _reference(model: type[Document]) -> dict[str, str]:
    return {"$ref": f"#/definitions/{model.__name__}"}


def _untitled(definition: dict[str, Any]) -> dict[str, Any]:
    """Leave out the titles of properties, which repeat their names."""
    properties = {
        name: {key: value for key, value in about.items() if key != "title"}
        for name, about in definition.get("properties", {}).items()
    }
    return definition | {"properties": properties}
