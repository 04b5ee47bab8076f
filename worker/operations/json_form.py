"""The form of every JSON object that a command prints or the API returns.

The models are in documents.py and state_documents.py.
Times are ISO 8601 in UTC with milliseconds, a wish is `on` or `off`, and what is not known is null.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema, model_validator

from worker.words import iso

OnOff = Literal["on", "off"]


_AS_TEXT = PlainSerializer(iso, return_type=str)
_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time", "pattern": r"^\d{4}-.+\.\d{3}Z$"})
Time = Annotated[int, _AS_TEXT, _TIME_SCHEMA]
"""Made from milliseconds since 1970."""
MicroTime = Annotated[int, BeforeValidator(lambda at_us: int(at_us) // 1000), _AS_TEXT, _TIME_SCHEMA]
"""Made from microseconds since 1970."""
Wish = Annotated[OnOff, BeforeValidator(lambda wish: {True: "on", False: "off"}.get(wish, wish))]
"""Made from a wish, or from whether refreshes are wanted."""


class Document(BaseModel):
    """One object of the output: unknown values are null, and values that a model does not name are left out."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, validate_by_name=True, validate_by_alias=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unknown(cls, values: Any) -> Any:
        return {name: None if value == "" else value for name, value in values.items()}

    @classmethod
    def of(cls, values: Mapping[str, Any], **more: Any) -> Self:
        """Return the document of values by their names in the code."""
        return cls.model_validate({**values, **more})
