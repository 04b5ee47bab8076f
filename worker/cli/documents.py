"""The objects that `--json` prints, one model for each kind: docs/schemas/cli.schema.json is made from these.

Times are ISO 8601 in UTC with milliseconds, a wish is `on` or `off`, and what is not known is null.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema, model_validator

OnOff = Literal["on", "off"]


def iso(at_ms: float) -> str:
    """Return a time in milliseconds since 1970 as `2026-11-22T10:00:05.123Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{int(at_ms % 1000):03}Z"


_AS_TEXT = PlainSerializer(iso, return_type=str)
_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time", "pattern": r"^\d{4}-.+\.\d{3}Z$"})
Time = Annotated[int, _AS_TEXT, _TIME_SCHEMA]
"""Made from milliseconds since 1970."""
MicroTime = Annotated[int, BeforeValidator(lambda at_us: int(at_us) // 1000), _AS_TEXT, _TIME_SCHEMA]
"""Made from microseconds since 1970."""


class Document(BaseModel):
    """One object of the output: unknown values are null, and values that a model does not name are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unknown(cls, values: Any) -> Any:
        return {name: None if value == "" else value for name, value in values.items()}


class Published(Document):
    """`publish --json`: one event, and what became of it."""

    event_id: str | None
    login: str | None = None
    """The reference, if LOGIN_KEYS are at hand to derive it."""
    line: int | None = None
    """The line of the file."""
    result: Literal[
        "published", "refused", "applied", "superseded", "duplicate", "waiting", "dead_lettered", "rejected"
    ]
    reason: str | None = None
    dead_letter_id: str | None = None
