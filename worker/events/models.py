"""The fields of an event and the rule for each: the arguments of a Celery message, and a CloudEvent.

The patterns are for JSON Schema and mean the same in ECMA 262 and in Python. A rule that a schema cannot express is in
the descriptions, and tests/unit/docs names each such case.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2254, 12, 31, tzinfo=UTC)
"""The last day whose microseconds since 1970 are exact as a Lua number."""
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
MALFORMED_TIME = "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"

_NOT_PRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ud800-\uf8ff\ufeff\ufff9-\ufffb"
)
"""Controls, separators, format characters, surrogates and private use, below U+10000."""

TEXT: dict[str, Any] = {"pattern": "^[^ ](.*[^ ])?$", "not": {"pattern": f"[{_NOT_PRINTABLE}]"}}
"""In addition to the length: printable characters only, and no space at either end."""

_DATE = r"(19(69|[7-9][0-9])|2([01][0-9]{2}|2([0-4][0-9]|5[0-4])))-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
_ZONE = r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

TIME: dict[str, Any] = {"pattern": rf"^{_DATE}[Tt ]{_CLOCK}{_ZONE}$", "not": {"pattern": r"[\r\n]"}}
"""In addition to `format: date-time`: with a zone, and within the years that the ledger can order."""

SEALED = r"^[0-9a-f]{8}\.[A-Za-z0-9_-]{66,1430}={0,2}$"
"""A loginId sealed to the workers' public key: the key's id, a full stop, and the sealed box in base64url."""


def _opaque(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("not_printable", "holds a character that is not printable")
    if value != value.strip():
        raise PydanticCustomError("padded", "begins or ends with a space")
    return value


def _rfc3339(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and RFC3339.fullmatch(value)):
        return value
    raise PydanticCustomError("not_rfc3339", MALFORMED_TIME)


def _in_range(value: datetime) -> datetime:
    try:
        moment = value.astimezone(UTC)
    except OverflowError:  # in UTC, its year would be 0 or 10000
        moment = LATEST + timedelta(days=1)
    if not EPOCH <= moment <= LATEST:
        raise PydanticCustomError("out_of_range", "lies before 1970 or after 2254")
    return moment


def microseconds_since_1970(moment: datetime) -> int:
    """Return a time as the integer by which the ledger orders; raises TypeError for a time without a zone."""
    return (moment - EPOCH) // datetime.resolution


Opaque = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=TEXT), AfterValidator(_opaque)]
Instant = Annotated[
    AwareDatetime,
    Field(strict=False, json_schema_extra=TIME),
    BeforeValidator(_rfc3339),
    AfterValidator(_in_range),
]

Sealed = Annotated[str, Field(pattern=SEALED)]

_LOGIN = "Flinks' loginId: a secret."
_SEALED = "In its place: the loginId in a libsodium sealed box to the workers' public key, `<key id>.<base64url>`."
_TIME = "When it happened in your system: this decides the order. 1970 to 2254, at most an hour ahead."
_ID = "The same event sent twice, with time and id equal, counts once."
_ACCOUNT = "Your own id for the account: shown to people, so not a secret."
_INSTANCE = "The Flinks instance that issued the loginId, if not the default one: one that the workers have."


class CeleryArguments(BaseModel):
    """The keyword arguments of `account.linked` and `account.inactive`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        json_schema_extra={"oneOf": [{"required": ["login_id"]}, {"required": ["sealed_login_id"]}]},
    )

    login_id: Opaque = Field(default_factory=str, description=_LOGIN, repr=False)
    sealed_login_id: Sealed = Field(default_factory=str, description=_SEALED)
    occurred_at: Instant = Field(description=_TIME)
    event_id: Opaque = Field(description=f"{_ID} Default: the task's id.")
    account_id: Opaque | None = Field(None, description=_ACCOUNT)
    instance: Opaque | None = Field(None, description=_INSTANCE)

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.login_id) is bool(self.sealed_login_id):
            raise PydanticCustomError("one_login", "needs login_id or sealed_login_id, one of the two")
        return self


class LoginData(BaseModel):
    """The `data` of a CloudEvent."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        json_schema_extra={"oneOf": [{"required": ["loginId"]}, {"required": ["sealedLoginId"]}]},
    )

    login_id: Opaque = Field(alias="loginId", default_factory=str, description=_LOGIN, repr=False)
    sealed_login_id: Sealed = Field(alias="sealedLoginId", default_factory=str, description=_SEALED)
    instance: Opaque | None = Field(None, description=_INSTANCE)

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.login_id) is bool(self.sealed_login_id):
            raise PydanticCustomError("one_login", "needs loginId or sealedLoginId, one of the two")
        return self


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
