"""The only reader of the environment: every setting, its unit, its default, and what a wrong value does.

A wrong value stops the start with one line that names the variable and the rule. No line repeats a value, because a
secret may have been pasted into the wrong variable.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.config.gate_thresholds import DEFAULT_RULES, GateRules
from worker.config.instances import FurtherInstance, Instance
from worker.config.unknown_names import unknown_names
from worker.config.validators import (
    BaseUrl,
    BrokerUrl,
    Guid,
    HeaderName,
    HeaderSecret,
    InstanceName,
    LoginKeys,
    PublicKeyText,
    RedisUrl,
    WebhookSecrets,
    check_strength,
    read_json_object,
    split_login_keys,
    split_webhook_secrets,
)
from worker.errors import SettingsError
from worker.vault.vault import Vault


class Settings(BaseSettings):
    """All settings. "Too high" and "too low" are explained where the right value is not obvious."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    redis_url: RedisUrl | None = None
    broker_url: BrokerUrl | None = None
    sandbox: bool = False
    """Whether the ledger is for trials. Production workers refuse such a ledger; a sandbox worker refuses any other."""

    flinks_instance: InstanceName = "toolbox"
    flinks_customer_id: Guid = "43387ca6-0391-4c82-857d-70d95f087ecb"
    flinks_auth_key: HeaderSecret | None = None
    flinks_auth_header: HeaderName = "flinks-auth-key"
    flinks_auth_scheme: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    flinks_base_url: BaseUrl = "https://{instance}-api.private.fin.ag"
    flinks_instances: Annotated[dict[InstanceName, FurtherInstance], NoDecode, BeforeValidator(read_json_object)] = (
        Field(default_factory=dict)
    )

    flinks_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10
    """Whole-call deadline. Too low: answers are discarded, logins wait. Too high: dead workers are noticed late."""
    flinks_settle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default_factory=lambda data: 2 * data.get("flinks_timeout_seconds", 10)
    )
    """Wait after an ambiguous call. Too low: a late write can undo a newer one. Too high: corrections come late."""
    flinks_calls_per_second: Annotated[float, Field(gt=0, le=100_000)] = 50
    """Maximum rate per instance, cluster-wide."""
    flinks_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Concurrent calls per instance, cluster-wide. Too low caps the rate at limit / latency."""

    retry_max_attempts: Annotated[int, Field(ge=1, le=1000)] = 20
    retry_max_age_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    event_max_ahead_seconds: Annotated[float, Field(ge=0, le=604_800)] = 3600
    """Seconds that an event may be ahead of Redis' clock. Too high: a wrong clock blocks newer events that long."""
    intake_replicas: Annotated[int, Field(ge=0, le=10)] = 0
    """Replicas that must have an event before its message is acknowledged. Too low: a failover of the ledger may lose
    events that a durable broker had. Too high: no event is accepted."""

    gate_outage_ratio: Annotated[float, Field(gt=0, le=1)] = DEFAULT_RULES.outage_ratio
    """Outage: ratio of calls without a usable Flinks response. Too low: a bad minute stops all calls."""
    gate_outage_min_calls: Annotated[int, Field(ge=2, le=10_000)] = DEFAULT_RULES.outage_min_calls
    """Minimum number of calls in the window. Too low: chance shuts the gate. Too high: outages cost more attempts."""
    gate_outage_window_seconds: Annotated[float, Field(ge=1, le=600)] = DEFAULT_RULES.outage_window_seconds
    """Length of the window. Too low: quiet hours never have enough calls. Too high: old successes hide an outage."""
    gate_outage_in_a_row: Annotated[int, Field(ge=2, le=10_000)] = DEFAULT_RULES.outage_in_a_row
    """Outage: failed logins in a row. Too low: chance shuts the gate. Too high: outages in quiet hours go unnoticed."""
    gate_storm_logins: Annotated[int, Field(ge=2, le=100_000)] = DEFAULT_RULES.storm_logins
    """Storm: logins in a row refused as INVALID_LOGIN or UNAUTHORIZED. Too low: a batch of deleted cards shuts the
    gate. Too high: a wrong customer id makes more dead letters, which must be replayed."""

    login_keys: LoginKeys | None = None
    seal_to: PublicKeyText | None = None
    """The workers' public key. Producers and `POST /events` seal loginIds with it before Redis gets them."""
    require_sealed: bool = False
    """Whether events with a loginId in clear are rejected, whatever their source."""
    review_users: SecretStr | None = None
    http_events_secrets: WebhookSecrets | None = None
    http_events_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 200
    """Events a second, per secret and process. Too low: producers wait. Too high: a faulty producer is not limited."""
    sentry_dsn: SecretStr | None = None
    sentry_environment: str | None = None
    log_format: Literal["json", "console"] | None = None
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    metrics_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    health_file: Annotated[Path | None, Field(repr=False)] = None

    @field_validator("login_keys")
    @classmethod
    def _strong_outside_a_sandbox(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and not info.data.get("sandbox"):
            check_strength(value.get_secret_value())
        return value

    @field_validator("flinks_instances")
    @classmethod
    def _one_key_an_instance(
        cls, value: dict[str, FurtherInstance], info: ValidationInfo
    ) -> dict[str, FurtherInstance]:
        if info.data.get("flinks_auth_key") and info.data.get("flinks_instance") in value:
            raise ValueError("repeats FLINKS_INSTANCE, whose key is FLINKS_AUTH_KEY")
        return value

    @classmethod
    def load(cls, *, require: Iterable[str] = ()) -> Self:
        """Read the environment and `.env`; raises SettingsError with a line for each wrong or missing value."""
        dotenv = _dotenv()
        given = {name.upper(): value for found in (dotenv, os.environ) for name, value in found.items() if value}
        lines = unknown_names(os.environ, dotenv, known=[name.upper() for name in cls.model_fields])
        try:
            settings = cls()
        except ValidationError as error:
            lines += _lines_of(error, given)
            missing = [name for name in require if name not in given]
        else:
            missing = [name for name in require if getattr(settings, name.lower()) is None]
        lines += [f"{name}: is required here; {_WHY_REQUIRED[name]}" for name in missing]
        if lines:
            raise SettingsError(lines)
        return settings

    @property
    def lease_margin_seconds(self) -> float:
        """How long after its claim a call may begin.

        A call that begins this late reaches its deadline when the lease ends. Its write lands within
        FLINKS_SETTLE_SECONDS after that.
        """
        return 5.0

    @property
    def lease_seconds(self) -> float:
        """How long a claimed login belongs to its worker."""
        return self.flinks_timeout_seconds + self.lease_margin_seconds

    @property
    def gate_rules(self) -> GateRules:
        """The thresholds at which the gate shuts by itself."""
        return GateRules(
            outage_ratio=self.gate_outage_ratio,
            outage_min_calls=self.gate_outage_min_calls,
            outage_window_seconds=self.gate_outage_window_seconds,
            outage_in_a_row=self.gate_outage_in_a_row,
            storm_logins=self.gate_storm_logins,
        )

    def redis_address(self) -> str:
        """Return REDIS_URL, which the caller must have required."""
        return self.redis_url.get_secret_value() if self.redis_url else ""

    def vault(self) -> Vault:
        """Return the vault for LOGIN_KEYS, which the caller must have required."""
        return Vault(split_login_keys(self.login_keys.get_secret_value() if self.login_keys else ""))

    def webhook_keys(self) -> dict[str, bytes]:
        """Return the keys that sign events sent over HTTP, by name; if there is none, `POST /events` is closed."""
        return split_webhook_secrets(self.http_events_secrets.get_secret_value()) if self.http_events_secrets else {}

    def instances(self) -> dict[str, Instance]:
        """Return every instance that we may call, by name; the default instance only if it has a key."""
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
_RULES = {
    "missing": "is required",
    "model_type": "must be a JSON object",
    "extra_forbidden": f"holds a field other than {', '.join(FurtherInstance.model_fields)}",
}


def _dotenv() -> dict[str, str | None]:
    try:
        return dotenv_values(".env") if Path(".env").is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError([".env: cannot be read; it must be a text file in UTF-8"]) from None


def _lines_of(error: ValidationError, given: Mapping[str, str]) -> list[str]:
    lines = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        if item["type"] == "default_factory_not_called":  # FLINKS_SETTLE_SECONDS has no default until others are valid
            continue
        message = _RULES.get(item["type"], item["msg"].removeprefix("Value error, "))
        lines.append(f"{_place(item['loc'], given)}: {message[:1].lower()}{message[1:]}")
    return lines


def _place(location: tuple[int | str, ...], given: Mapping[str, str]) -> str:
    """Return the variable's name; an instance is given by number, because its name may be a misplaced secret."""
    variable = str(location[0]).upper()
    if len(location) == 1:
        return variable
    names = json.loads(given.get(variable, "{}"))
    number = next((number for number, name in enumerate(names, 1) if name == location[1]), "?")
    field = f", {location[2]}" if location[2:] and location[2] in FurtherInstance.model_fields else ""
    return f"{variable} (entry {number}{field})"
