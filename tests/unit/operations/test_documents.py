import pytest

from docs.generator.command_line import schema
from worker.cli.output import print_json
from worker.operations.documents import Published
from worker.operations.json_form import Document, MicroTime, Time, iso


class Example(Document):
    at_ms: Time | None
    at_us: MicroTime
    name: str | None


def test_a_time_has_milliseconds_and_the_zone_z() -> None:
    assert iso(1_795_341_605_023) == "2026-11-22T10:00:05.023Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"


def test_times_become_iso_text_and_an_empty_text_becomes_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([Example(at_ms=1, at_us=1_795_341_605_023_999, name=""), Example(at_ms=None, at_us=0, name="x")])
    assert capsys.readouterr().out.splitlines() == [
        '{"at_ms":"1970-01-01T00:00:00.001Z","at_us":"2026-11-22T10:00:05.023Z","name":null}',
        '{"at_ms":null,"at_us":"1970-01-01T00:00:00.000Z","name":"x"}',
    ]


def test_a_published_event_has_its_id_and_its_result() -> None:
    assert Published(event_id="evt-1", result="published").model_dump() == {
        "event_id": "evt-1", "login": None, "line": None, "result": "published", "reason": None, "dead_letter_id": None,
    }  # fmt: skip


def test_every_property_of_the_schema_follows_the_naming_rules() -> None:
    for model in schema()["definitions"].values():
        for name, about in model["properties"].items():
            assert name == name.lower()
            is_time = "date-time" in str(about)
            assert is_time == name.endswith("_at"), name
