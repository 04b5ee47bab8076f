"""The fields of an event, in the two forms in which producers send them, and the rule for each. Does no I/O."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from worker.events.plain_events import EPOCH, LATEST
from worker.events.wire_rules import SEALED, TEXT, TIME

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
MALFORMED_TIME = "must be an RFC 3339 time such as 2026-11-22T10:00:00Z"


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
