"""Validates events against the message contract; raises InvalidEvent for a body that is not JSON or breaks a rule.

Three forms come in (a Celery message's arguments, a CloudEvent, an array of CloudEvents) and one goes out,
`LifecycleEvent`. Validation is strict: a misspelt field is an error, not a default. A reason names the field and the
rule, never the value, because any value may be a loginId.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, Self, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from worker.errors import InvalidEvent
from worker.events.models import (
    MALFORMED_TIME,
    CeleryArguments,
    CloudEvent,
    LoginData,
    Opaque,
    microseconds_since_1970,
)

EVENT_TYPES: Mapping[str, bool] = {"account.linked": True, "account.inactive": False}
MAX_BODY_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
MAX_REASONS = 5
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(slots=True)  # constant; declared frozen, it would take three times as long to create
class LifecycleEvent:
    """One valid event: at `occurred_at` this login was linked, or went inactive.

    Either `login_id` or `sealed_login_id` is set, the other is empty. The workers' private key opens the latter.
    """

    login_id: str = field(repr=False)
    instance: str
    wants_active: bool
    occurred_at: datetime
    event_id: str
    account_id: str | None = None
    sealed_login_id: str = field(default="", repr=False)

    @property
    def occurred_us(self) -> int:
        """Microseconds since 1970: exact as a Lua number until the year 2255."""
        return microseconds_since_1970(self.occurred_at)

    @classmethod
    def from_celery(
        cls, event_type: str, kwargs: Mapping[str, Any], default_instance: str, *, args: Sequence[Any] = ()
    ) -> Self:
        """Read a Celery message's arguments, which must be keyword arguments; raises InvalidEvent."""
        if args:
            raise InvalidEvent("args: must be empty; send keyword arguments")
        given = _exactly(CeleryArguments, dict(kwargs))
        return cls(
            given.login_id,
            given.instance or default_instance,
            EVENT_TYPES[event_type],
            given.occurred_at,
            given.event_id,
            given.account_id,
            given.sealed_login_id,
        )

    @classmethod
    def from_cloudevent(cls, document: object, default_instance: str) -> Self:
        """Read one decoded CloudEvent; raises InvalidEvent."""
        given = _exactly(CloudEvent, document)
        data = given.data
        return cls(  # without keywords, which would double the time
            data.login_id,
            data.instance or default_instance,
            EVENT_TYPES[given.type],
            given.time,
            given.id,
            given.subject,
            data.sealed_login_id,
        )


@dataclass(frozen=True, slots=True)
class Requirements:
    """What the workers' settings require of a valid event. A producer applies it too, as far as it knows them."""

    max_ahead_seconds: float
    instances: frozenset[str] | None = None
    """None: not known here."""
    require_sealed: bool = False

    def check(self, event: LifecycleEvent, *, is_sealed: bool, login_field: str = "loginId") -> None:
        """Check the instance, if the event names one, and the sealing; raises InvalidEvent."""
        if event.instance and self.instances is not None and event.instance not in self.instances:
            reason = "instance: is not one of the configured instances"
            raise InvalidEvent(reason, code="unknown_instance")
        if self.require_sealed and not is_sealed:
            reason = f"{login_field}: must be sealed to the key of `nightly keys public`, as REQUIRE_SEALED is set"
            raise InvalidEvent(reason)

    def check_time(self, event: LifecycleEvent, now: datetime, *, field: str = "time") -> None:
        """Check that an event is not dated too far ahead; raises InvalidEvent."""
        if event.occurred_at - now > timedelta(seconds=self.max_ahead_seconds):
            raise self.ahead(field)

    def ahead(self, field: str) -> InvalidEvent:
        """Return the error for an event dated too far ahead."""
        return InvalidEvent(f"{field}: lies more than {self.max_ahead_seconds:g} s in the future")


def check_login_id(login_id: str) -> None:
    """Apply the rule for a loginId to one that was sealed and is open now; raises InvalidEvent."""
    try:
        _LOGIN_ID.validate_python(login_id, strict=True)
    except ValidationError as error:
        kind, message = error.errors()[0]["type"], error.errors()[0]["msg"]
        raise InvalidEvent(f"sealedLoginId, opened: {_rule(kind, message)}") from None


def _exactly(model: type[_Model], document: object) -> _Model:
    """Validate a document, as `model_validate` does, without its arguments; raises InvalidEvent."""
    try:
        return cast(_Model, model.__pydantic_validator__.validate_python(document))
    except ValidationError as error:
        raise InvalidEvent(reason_of(error)) from None


def decode_documents(body: bytes) -> list[object]:
    """Split a body into CloudEvents, one or an array; raises InvalidEvent if it is not JSON, too large or empty."""
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
    """Decode a body of at most MAX_BODY_BYTES; raises InvalidEvent if it is not JSON."""
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(f"body: larger than {MAX_BODY_BYTES} bytes")
    try:
        # By default, pydantic keeps values in a cache as well: loginIds, and each only once.
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return _with_lone_surrogates(body)


def _with_lone_surrogates(body: bytes) -> object:
    """Decode JSON with a lone surrogate, which pydantic refuses: it makes one event invalid, not its whole batch."""
    try:
        return json.loads(body.decode("utf-8", "surrogatepass"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidEvent("body: is not JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def reason_of(error: ValidationError) -> str:
    """Say which fields are wrong and why, without content of the message."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    lines = [f"{_path(item['loc'])}: {_rule(item['type'], item['msg'])}" for item in found[:MAX_REASONS]]
    if len(found) > MAX_REASONS:
        lines.append(f"and {len(found) - MAX_REASONS} more")
    return "; ".join(lines)


def _path(location: tuple[int | str, ...]) -> str:
    """Return a field's path with known names only: an unknown name may be a loginId."""
    return ".".join(str(part) if part in _FIELDS else "(another field)" for part in location) or "event"


def _rule(kind: str, message: str) -> str:
    return _RULES.get(kind, message[:1].lower() + message[1:])


_LOGIN_ID = TypeAdapter(Opaque)
_FIELDS = frozenset(
    field.alias or name
    for model in (CeleryArguments, CloudEvent, LoginData)
    for name, field in model.model_fields.items()
)
_RULES = {
    "missing": "is required",
    "string_pattern_mismatch": "must be <key id>.<base64url>: a sealed box to the key of `nightly keys public`",
    "extra_forbidden": "is not a field of this event",
    "timezone_aware": "needs a time zone, for example a final Z",
    "model_type": "must be an object",
    "string_type": "must be a text",
    "string_unicode": "holds a character that is not printable",
    "datetime_parsing": MALFORMED_TIME,
    "datetime_from_date_parsing": MALFORMED_TIME,
    "datetime_object_invalid": MALFORMED_TIME,
}
