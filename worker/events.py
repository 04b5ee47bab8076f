"""The message contract: what a producer may send, and the one form in which we work with it.

Three shapes come in (a Celery message's arguments, a CloudEvent, an array of CloudEvents) and one goes
out, `LifecycleEvent`. Parsing is strict: a misspelt field is an error, not a default. A reason names the
field and the rule, never the value, because any value may be a loginId. Does no I/O.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError, from_json

from worker.errors import InvalidEvent
from worker.plain_events import EPOCH, LATEST, plain_arguments, plain_cloudevent
from worker.wire_rules import TEXT, TIME

EVENT_TYPES: Mapping[str, bool] = {"account.linked": True, "account.inactive": False}
MAX_BODY_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
MAX_REASONS = 5
_MICROSECOND = datetime.resolution
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_MALFORMED_TIME = "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"


def _opaque(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("not_printable", "holds a character that is not printable")
    if value != value.strip():
        raise PydanticCustomError("padded", "begins or ends with a space")
    return value


def _rfc3339(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise PydanticCustomError("not_rfc3339", _MALFORMED_TIME)


def _in_range(value: datetime) -> datetime:
    if not EPOCH <= value <= LATEST:
        raise PydanticCustomError("out_of_range", "lies before 1970 or after 2254")
    return value.astimezone(UTC)


Opaque = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=TEXT), AfterValidator(_opaque)]
Instant = Annotated[
    AwareDatetime,
    Field(strict=False, json_schema_extra=TIME),
    BeforeValidator(_rfc3339),
    AfterValidator(_in_range),
]

_LOGIN = "Flinks' loginId: a secret."
_TIME = "When it happened in your system: this decides the order. 1970 to 2254, at most an hour ahead."
_ID = "The same event sent twice, with time and id equal, counts once."
_ACCOUNT = "Your own id for the account: shown to people, so not a secret."
_INSTANCE = "The Flinks instance that issued the loginId, if not the default one: one that the workers have."


class CeleryArguments(BaseModel):
    """The keyword arguments of `account.linked` and `account.inactive`."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    login_id: Opaque = Field(description=_LOGIN, repr=False)
    occurred_at: Instant = Field(description=_TIME)
    event_id: Opaque = Field(description=f"{_ID} Default: the task's id.")
    account_id: Opaque | None = Field(None, description=_ACCOUNT)
    instance: Opaque | None = Field(None, description=_INSTANCE)


class LoginData(BaseModel):
    """The `data` of a CloudEvent."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    login_id: Opaque = Field(alias="loginId", description=_LOGIN, repr=False)
    instance: Opaque | None = Field(None, description=_INSTANCE)


class CloudEvent(BaseModel):
    """A CloudEvents 1.0 envelope; extension attributes are allowed and ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: Opaque = Field(description=_ID)
    source: Opaque = Field(description="Which of your systems says so.")
    type: Literal["account.linked", "account.inactive"] = Field(description="Linked: switch on. Inactive: off.")
    time: Instant = Field(description=_TIME)
    subject: Opaque | None = Field(None, description=_ACCOUNT)
    datacontenttype: Literal["application/json"] | None = None
    data: LoginData


_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One accepted event: at `occurred_at` this login was linked, or went inactive."""

    login_id: str = field(repr=False)
    instance: str
    wants_active: bool
    occurred_at: datetime
    event_id: str
    account_id: str | None = None

    @property
    def occurred_us(self) -> int:
        """Microseconds since 1970: exact as a Lua number until the year 2255."""
        return (self.occurred_at - EPOCH) // _MICROSECOND

    @classmethod
    def from_celery(
        cls, event_type: str, kwargs: Mapping[str, Any], default_instance: str, *, args: Sequence[Any] = ()
    ) -> Self:
        """Read a Celery message's arguments, which must be keyword arguments; raises InvalidEvent."""
        if args:
            raise InvalidEvent("args: must be empty; send keyword arguments")
        parsed = plain_arguments(kwargs) or _exactly(CeleryArguments, dict(kwargs)).model_dump()
        return cls(
            login_id=parsed["login_id"],
            instance=parsed.get("instance") or default_instance,
            wants_active=EVENT_TYPES[event_type],
            occurred_at=parsed["occurred_at"],
            event_id=parsed["event_id"],
            account_id=parsed.get("account_id"),
        )

    @classmethod
    def from_cloudevent(cls, document: object, default_instance: str) -> Self:
        """Read one decoded CloudEvent; raises InvalidEvent."""
        parsed = plain_cloudevent(document) or _exactly(CloudEvent, document).model_dump(by_alias=True)
        data = parsed["data"]
        return cls(
            login_id=data["loginId"],
            instance=data.get("instance") or default_instance,
            wants_active=EVENT_TYPES[parsed["type"]],
            occurred_at=parsed["time"],
            event_id=parsed["id"],
            account_id=parsed.get("subject"),
        )


def _exactly(model: type[_Model], document: object) -> _Model:
    """Judge a document by the contract itself; raises InvalidEvent."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidEvent(reason_of(error)) from None


def decode_documents(body: bytes) -> list[object]:
    """Split a stream entry's body into CloudEvents, one or an array; raises InvalidEvent."""
    document = decode_json(body)
    if not isinstance(document, list):
        return [document]
    if not document:
        raise InvalidEvent("body: is an empty array")
    if len(document) > MAX_BATCH_EVENTS:
        raise InvalidEvent(f"body: holds more than {MAX_BATCH_EVENTS} events")
    return document


def is_batch(body: bytes) -> bool:
    """Say whether a body is an array, by its first character alone."""
    return body.lstrip()[:1] == b"["


def decode_json(body: bytes) -> object:
    """Return what a body of at most MAX_BODY_BYTES says; raises InvalidEvent."""
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(f"body: larger than {MAX_BODY_BYTES} bytes")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        return _with_lone_surrogates(body)


def _with_lone_surrogates(body: bytes) -> object:
    """Decode what pydantic takes for no JSON because of half a character: that may spoil its event, not its batch."""
    try:
        return json.loads(body.decode("utf-8", "surrogatepass"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidEvent("body: is not JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def reason_of(error: ValidationError) -> str:
    """Say which fields are wrong and why, without repeating anything that was sent."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    lines = [f"{_path(item['loc'])}: {_rule(item['type'], item['msg'])}" for item in found[:MAX_REASONS]]
    if len(found) > MAX_REASONS:
        lines.append(f"and {len(found) - MAX_REASONS} more")
    return "; ".join(lines)


def _path(location: tuple[int | str, ...]) -> str:
    """Name the field in our own words: the name of a field that is not ours may be a loginId as well."""
    return ".".join(str(part) if part in _FIELDS else "(another field)" for part in location) or "event"


def _rule(kind: str, message: str) -> str:
    return _RULES.get(kind, message[:1].lower() + message[1:])


_FIELDS = frozenset(
    field.alias or name
    for model in (CeleryArguments, CloudEvent, LoginData)
    for name, field in model.model_fields.items()
)
_RULES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this event",
    "timezone_aware": "needs a time zone, for example a final Z",
    "model_type": "must be an object",
    "string_type": "must be a text",
    "string_unicode": "holds a character that is not printable",
    "datetime_parsing": _MALFORMED_TIME,
    "datetime_from_date_parsing": _MALFORMED_TIME,
    "datetime_object_invalid": _MALFORMED_TIME,
}
