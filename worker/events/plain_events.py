"""Reads at once an event that is valid and of the form that nearly all events have.

Any other is for the contract itself (`worker/events/contract.py`), which takes longer and says what is wrong. What is
taken here the contract takes too, and reads alike: this is for speed, and decides nothing. Does no I/O.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_core import SchemaValidator, core_schema

from worker.events.wire_rules import SEALED

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2254, 12, 31, tzinfo=UTC)
_Schema = core_schema.CoreSchema
_TEXT = core_schema.str_schema(strict=True, pattern=r"^[!-~](?:[ -~]{0,254}[!-~])?$")
_SEALED = core_schema.str_schema(strict=True, pattern=SEALED)
_TIME = core_schema.str_schema(
    strict=True,
    pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$",
)


def _object(
    required: Mapping[str, _Schema], optional: Mapping[str, _Schema], *, extra: Literal["ignore", "forbid"]
) -> _Schema:
    fields = {name: core_schema.typed_dict_field(schema, required=True) for name, schema in required.items()}
    for name, schema in optional.items():
        fields[name] = core_schema.typed_dict_field(core_schema.nullable_schema(schema), required=False)
    return core_schema.typed_dict_schema(fields, strict=True, extra_behavior=extra)


def _either(clear: _Schema, sealed: _Schema) -> _Schema:
    return core_schema.union_schema([clear, sealed], mode="left_to_right")


def _arguments(login: Mapping[str, _Schema]) -> _Schema:
    required = {**login, "occurred_at": _TIME, "event_id": _TEXT}
    return _object(required, {"account_id": _TEXT, "instance": _TEXT}, extra="forbid")


_ARGUMENTS = SchemaValidator(_either(_arguments({"login_id": _TEXT}), _arguments({"sealed_login_id": _SEALED})))
_CLOUDEVENT = SchemaValidator(
    _object(
        {
            "specversion": core_schema.literal_schema(["1.0"]),
            "id": _TEXT,
            "source": _TEXT,
            "type": core_schema.literal_schema(["account.linked", "account.inactive"]),
            "time": _TIME,
            "data": _either(
                _object({"loginId": _TEXT}, {"instance": _TEXT}, extra="forbid"),
                _object({"sealedLoginId": _SEALED}, {"instance": _TEXT}, extra="forbid"),
            ),
        },
        {"subject": _TEXT, "datacontenttype": core_schema.literal_schema(["application/json"])},
        extra="ignore",
    )
)


def plain_arguments(kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a Celery message's arguments with `occurred_at` as a time in UTC; None: ask the contract."""
    return _plain(_ARGUMENTS, kwargs, "occurred_at")


def plain_cloudevent(document: object) -> dict[str, Any] | None:
    """Return a CloudEvent's attributes with `time` as a time in UTC; None: ask the contract."""
    return _plain(_CLOUDEVENT, document, "time")


def _plain(validator: SchemaValidator, document: object, time: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = validator.validate_python(document)
        moment = datetime.fromisoformat(found[time]).astimezone(UTC)
    except (ValueError, OverflowError):  # a ValidationError is a ValueError
        return None
    found[time] = moment
    return found if EPOCH <= moment <= LATEST else None
