"""The only reader of the environment: every setting, its unit, its default, and what a wrong value does.

A wrong value stops the start with one line that names the variable and the rule. No line repeats a value,
because a secret pasted into the wrong variable would be printed with it.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableValue

from worker.errors import SettingsError
from worker.seal import Vault, decode_key

OWN_PREFIXES = ("FLINKS_", "RETRY_", "LOGIN_", "REVIEW_", "METRICS_", "EVENT_")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
REDIS_SCHEMES = ("redis", "rediss", "unix", "sentinel")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INSTANCE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _rule(text: str) -> ValueError:
    return ValueError(text)


def _guid(value: str) -> str:
    if not _GUID.fullmatch(value):
        raise _rule("must be a GUID such as 43387ca6-0391-4c82-857d-70d95f087ecb")
    return value.lower()


def _instance_name(value: str) -> str:
    if not _INSTANCE.fullmatch(value):
        raise _rule("must be a host name label: lower-case letters, digits and hyphens")
    return value


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise _rule("must be an HTTP header name")
    return value


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise _rule("must be printable ASCII with no line break and no space at either end")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value.replace("{instance}", "instance"))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _rule("must be a URL such as https://{instance}-api.private.fin.ag")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        raise _rule("must be https, because the loginId is a secret; plain http is for loopback only")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _rule("must hold no user, password, query or fragment")
    return value.rstrip("/")


def _url_of(schemes: Iterable[str], value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in schemes:
        raise _rule(f"must begin with one of {', '.join(f'{scheme}://' for scheme in schemes)}")
    return value


Guid = Annotated[str, AfterValidator(_guid)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_value)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(lambda value: _url_of(REDIS_SCHEMES, value))]
BrokerUrl = Annotated[SecretStr, AfterValidator(lambda value: _url_of(BROKER_SCHEMES, value))]


class FurtherInstance(BaseModel):
    """One entry of FLINKS_INSTANCES."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    customer_id: Guid
    auth_key: HeaderSecret
    base_url: BaseUrl | None = None


class Instance(BaseModel):
    """One Flinks instance that we may call: the whole of what its address and credentials are."""

    model_config = ConfigDict(frozen=True)

    name: str
    customer_id: str
    auth_key: SecretStr
    auth_header: str
    auth_scheme: str
    base_url: str

    def fingerprint(self, vault: Vault) -> str:
        """Return a name for this very configuration that reveals nothing of it (the gate's memory)."""
        key = self.auth_key.get_secret_value()
        address = (self.name, self.customer_id, self.auth_header, self.auth_scheme, self.base_url)
        return vault.fingerprint(*address, key, *vault.key_ids)


class Settings(BaseSettings):
    """All settings. Too high and too low are said where the right value is not obvious."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    redis_url: RedisUrl | None = None
    broker_url: BrokerUrl | None = None

    flinks_instance: Annotated[str, AfterValidator(_instance_name)] = "toolbox"
    flinks_customer_id: Guid = "43387ca6-0391-4c82-857d-70d95f087ecb"
    flinks_auth_key: HeaderSecret | None = None
    flinks_auth_header: Annotated[str, AfterValidator(_header_name)] = "flinks-auth-key"
    flinks_auth_scheme: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    flinks_base_url: BaseUrl = "https://{instance}-api.private.fin.ag"
    flinks_instances: dict[str, FurtherInstance] = Field(default_factory=dict)
    flinks_api_secret: HeaderSecret | None = None

    flinks_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10
    """Whole-call deadline. Too low: answers are thrown away, logins rest. Too high: dead workers are noticed late."""
    flinks_settle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default_factory=lambda data: 2 * data.get("flinks_timeout_seconds", 10)
    )
    """Rest after a call that may still land. Too low: a late write can undo a newer one. Too high: slow repair."""
    flinks_calls_per_second: Annotated[float, Field(gt=0, le=100_000)] = 50
    """Ceiling per instance, cluster-wide."""
    flinks_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Concurrent calls per instance, cluster-wide. Too low caps the rate at limit / latency."""

    retry_max_attempts: Annotated[int, Field(ge=1, le=1000)] = 20
    retry_max_age_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    event_max_ahead_seconds: Annotated[float, Field(ge=0, le=604_800)] = 3600
    """How far ahead of Redis' clock an event may be dated. Too high: a wrong clock freezes a login that long."""

    login_keys: Annotated[SecretStr | None, NoDecode] = None
    review_users: SecretStr | None = None
    sentry_dsn: SecretStr | None = None
    sentry_environment: str | None = None
    log_format: Literal["json", "console"] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None

    @field_validator("flinks_instances")
    @classmethod
    def _instance_names(cls, value: dict[str, FurtherInstance]) -> dict[str, FurtherInstance]:
        for name in value:
            _instance_name(name)
        return value

    @field_validator("login_keys")
    @classmethod
    def _login_keys(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            decoded = [decode_key(part.strip()) for part in value.get_secret_value().split(",")] if value else []
        except ValueError:
            raise _rule("must be comma-separated keys; `nightly keys new` prints one") from None
        if len(set(decoded)) != len(decoded):
            raise _rule("holds the same key twice")
        return value

    @classmethod
    def load(cls, *, require: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment and `.env`; raises SettingsError with a line for each wrong or missing value."""
        environ = os.environ if environ is None else environ
        lines = _unknown_names(environ, set(cls.model_fields))
        try:
            settings = cls()
        except ValidationError as error:
            raise SettingsError(lines + _lines_of(error)) from None
        except UnreadableValue:
            raise SettingsError([*lines, "FLINKS_INSTANCES: must be a JSON object, one entry an instance"]) from None
        missing = [name for name in require if getattr(settings, name.lower()) is None]
        lines += [f"{name}: is required here; {_WHY_REQUIRED[name]}" for name in missing]
        if lines:
            raise SettingsError(lines)
        return settings

    @property
    def lease_margin_seconds(self) -> float:
        """Time to start a claimed call before its deadline counts, and to settle it after."""
        return 5.0

    @property
    def lease_seconds(self) -> float:
        """How long a claimed login belongs to its worker."""
        return self.flinks_timeout_seconds + self.lease_margin_seconds

    def vault(self) -> Vault:
        """Return the vault for LOGIN_KEYS (required before)."""
        keys = self.login_keys.get_secret_value() if self.login_keys else ""
        return Vault([decode_key(part.strip()) for part in keys.split(",")])

    def instances(self) -> dict[str, Instance]:
        """Return every instance we may call, by name; the default one only if it has a key."""
        shared: dict[str, Any] = {"auth_header": self.flinks_auth_header, "auth_scheme": self.flinks_auth_scheme}
        found: dict[str, Instance] = {}
        if self.flinks_auth_key is not None:
            found[self.flinks_instance] = Instance(
                name=self.flinks_instance,
                customer_id=self.flinks_customer_id,
                auth_key=self.flinks_auth_key,
                base_url=self.flinks_base_url.replace("{instance}", self.flinks_instance),
                **shared,
            )
        for name, entry in self.flinks_instances.items():
            found[name] = Instance(
                name=name,
                customer_id=entry.customer_id,
                auth_key=entry.auth_key,
                base_url=(entry.base_url or self.flinks_base_url).replace("{instance}", name),
                **shared,
            )
        return found


_WHY_REQUIRED = {
    "REDIS_URL": "it names the Redis that holds the ledger, for example redis://localhost:6379/0",
    "FLINKS_AUTH_KEY": "it is the key that Flinks gave you; `make run` works without one, against the emulator",
    "LOGIN_KEYS": "it seals loginIds; print a key once with `nightly keys new` and keep it as you keep a password",
}


def _unknown_names(environ: Mapping[str, str], fields: set[str]) -> list[str]:
    known = sorted(name.upper() for name in fields)
    dotenv = {name.upper() for name in dotenv_values(".env")} if Path(".env").is_file() else set()
    ours = {name for name in map(str.upper, environ) if name.startswith(OWN_PREFIXES)}
    lines = []
    for name in sorted((dotenv | ours) - set(known)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        lines.append(f"{name}: is not a setting of Nightly{hint}")
    return lines


def _lines_of(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        head, *rest = (str(part) for part in item["loc"])
        place = f" ({'.'.join(rest)})" if rest else ""
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{head.upper()}{place}: {message[:1].lower()}{message[1:]}")
    return lines
