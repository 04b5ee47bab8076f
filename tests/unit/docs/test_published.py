"""The published documents match the models, are valid, and name the queues that workers read."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery import Celery
from jsonschema import Draft7Validator

from docs.generator.commands import ANSWERS, every_command
from docs.generator.rendered import ROOT, rendered
from worker.events.channels import QUEUES, TOPIC
from worker.events.contract import EVENT_TYPES
from worker.intake.redis_stream import StreamReader

DOCS = ROOT / "docs"
SCHEMAS = sorted((DOCS / "schemas").glob("*.json"))
ASYNCAPI: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
_CHANNELS = list(ASYNCAPI["channels"].items())


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [reference for value in part.values() for reference in _references(value)]
    return [reference for value in part for reference in _references(value)] if isinstance(part, list) else []


def _at(reference: str) -> Any:
    found: Any = ASYNCAPI
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


@pytest.mark.parametrize("name", sorted(rendered()))
def test_the_generated_files_match_their_sources(name: str) -> None:
    assert (ROOT / name).read_text() == rendered()[name], "stale: run `make schemas`"


def test_no_other_schema_is_published() -> None:
    assert {f"docs/schemas/{path.name}" for path in SCHEMAS} == {name for name in rendered() if "schemas/" in name}


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_published_schema_is_a_schema_and_its_examples_pass(path: Path) -> None:
    schema = json.loads(path.read_text())
    Draft7Validator.check_schema(schema)
    for example in schema.get("examples", []):
        Draft7Validator(schema).validate(example)


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    references = _references(ASYNCAPI)
    assert len(references) > 20
    assert all(isinstance(_at(reference), dict) for reference in references)


def test_the_channels_are_those_that_workers_read() -> None:
    stream, queue = ASYNCAPI["channels"]["stream"], ASYNCAPI["channels"]["queue"]
    assert (stream["address"], stream["x-stream-field"].encode()) == (StreamReader.stream, StreamReader.field)
    assert queue["address"] in QUEUES
    tasks = [_at(message["$ref"])["headers"]["properties"]["task"]["const"] for message in queue["messages"].values()]
    assert tasks == list(EVENT_TYPES)
    exchange = ASYNCAPI["channels"]["exchange"]
    assert exchange["bindings"]["amqp"]["exchange"]["name"] == TOPIC
    assert exchange["parameters"]["type"]["enum"] == list(EVENT_TYPES)


def test_each_channel_names_its_servers_and_refers_to_http() -> None:
    carried = {name: [_at(one["$ref"])["protocol"] for one in channel["servers"]] for name, channel in _CHANNELS}
    assert carried == {"stream": ["redis"], "queue": ["redis", "amqp"], "exchange": ["amqp"]}
    assert "](openapi.yaml)" in ASYNCAPI["info"]["description"]


@pytest.mark.parametrize("name", ["asyncapi.yaml", "openapi.yaml"])
def test_the_prose_of_a_document_fits_the_line_length(name: str) -> None:
    lines = [line for line in (DOCS / name).read_text().splitlines() if "pattern" not in line]
    assert max(map(len, lines)) < 240


@pytest.mark.parametrize("name", ["AccountLinked", "AccountInactive"])
def test_the_document_describes_the_messages_of_the_celery_client(name: str) -> None:
    message = _at(f"#/components/messages/{name}")
    task = message["headers"]["properties"]["task"]["const"]
    kwargs = {"login_id": "login-1", "occurred_at": "2026-11-22T10:00:00Z"}
    written = Celery(set_as_current=False).amqp.as_task_v2("some-id", task, kwargs=kwargs)
    headers, body = json.loads(json.dumps([written.headers, written.body]))

    assert _says(message["headers"]).is_valid(headers)
    assert _says(message["payload"]).is_valid(body)
    assert not _says(message["headers"]).is_valid({**headers, "task": "account.deleted"})
    assert not _says(message["payload"]).is_valid([["login-1"], *body[1:]])
    assert not _says(message["payload"]).is_valid([[], {"login_id": "login-1"}, {}])


def _says(schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator({**schema, "components": ASYNCAPI["components"]})


def test_the_page_of_commands_answers_with_commands_that_exist_and_each_has_an_example_of_itself() -> None:
    commands = every_command()
    assert set(ANSWERS.values()) <= {command.name for command in commands}
    for command in commands:
        assert command.summary.endswith("."), command
        assert not command.example or f"nightly {command.name}" in command.example or "HEALTHCHECK" in command.example
