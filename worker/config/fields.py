"""Every setting: its type, its default, and its meaning.

`make schemas` generates docs/settings.md and .env.example from this file.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.config.gate_thresholds import DEFAULT_RULES
from worker.config.instances import FurtherInstance
from worker.config.validators import (
    BaseUrl,
    BrokerUrl,
    Guid,
    HeaderName,
    HeaderSecret,
    InstanceName,
    LoginKeys,
    Networks,
    Origin,
    PageUrl,
    PublicKeyText,
    RedisUrl,
    Role,
    WebhookSecrets,
    check_strength,
    read_json_object,
    read_role_map,
)


class SettingsFields(BaseSettings):
    """The fields of all settings; the docstring below a field is its meaning."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    redis_url: RedisUrl | None = None
    """The Redis that holds the ledger: `redis://`, `rediss://`, `unix://` or
    `sentinel://host:port,host:port/service/0`. With docker-compose.yml: `redis://:PASSWORD@redis:6379/0`, where the
    password has only letters and digits."""
    broker_url: BrokerUrl | None = None
    """Celery's broker, if it is not the Redis of REDIS_URL. RabbitMQ: `amqp://user:password@host:5672/vhost` or
    `amqps://`."""
    sandbox: bool = False
    """1: the ledger is for trials, with an emulated Flinks. A worker in production refuses such a ledger, and a sandbox
    refuses any other."""

    flinks_instance: InstanceName = "toolbox"
    """Your Flinks instance, as in `https://{instance}-api.private.fin.ag`."""
    flinks_customer_id: Guid = "43387ca6-0391-4c82-857d-70d95f087ecb"
    """Your customer id at that instance, a GUID. The default is the id of Flinks' documented sandbox."""
    flinks_auth_key: HeaderSecret | None = None
    """Secret: the key that Flinks gave you."""
    flinks_auth_header: HeaderName = "flinks-auth-key"
    """The header that carries the key."""
    flinks_auth_scheme: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""
    """A word before the key, such as `Bearer`. Empty: the key alone."""
    flinks_base_url: BaseUrl = "https://{instance}-api.private.fin.ag"
    """The address of Flinks, in which `{instance}` is replaced. Plain http is accepted only for loopback."""
    flinks_instances: Annotated[dict[InstanceName, FurtherInstance], NoDecode, BeforeValidator(read_json_object)] = (
        Field(default_factory=dict)
    )
    """Further instances, in JSON: `'{"acme-us": {"customer_id": "...", "auth_key": "...", "base_url": "..."}}'`."""

    flinks_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10
    """Deadline of a whole call. Too low: late answers are discarded. Too high: dead workers are noticed late."""
    flinks_settle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default_factory=lambda data: 2 * data.get("flinks_timeout_seconds", 10)
    )
    """How long a login rests after a call that may still take effect. Empty: twice FLINKS_TIMEOUT_SECONDS. Too low: a
    late write can undo a newer one. Too high: corrections come late."""
    flinks_calls_per_second: Annotated[float, Field(gt=0, le=100_000)] = 50
    """Maximum calls a second, per instance, for all workers together. Nightly starts calls 3 % below this rate, so that
    network jitter does not push one second above it."""
    flinks_max_in_flight: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Maximum calls in flight, per instance, for all workers together. Too low: it caps the rate at limit / latency."""

    retry_max_attempts: Annotated[int, Field(ge=1, le=1000)] = 20
    """Failed attempts after which a login becomes a dead letter, `retries_exhausted`."""
    retry_max_age_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """Hours after which a login that still fails becomes a dead letter. Hours in which the gate was closed, no worker
    was alive, or Flinks asked us to wait do not count."""
    event_max_ahead_seconds: Annotated[float, Field(ge=0, le=604_800)] = 3600
    """An event dated further ahead of Redis' clock is rejected. Too high: an event from a wrong clock blocks newer
    events that long."""
    intake_replicas: Annotated[int, Field(ge=0, le=10)] = 0
    """Replicas of the ledger that must have an event before its message is acknowledged, or its request gets 202. Too
    low: a failover of the ledger may lose events. More than exist: no event is accepted."""

    gate_outage_ratio: Annotated[float, Field(gt=0, le=1)] = DEFAULT_RULES.outage_ratio
    """An outage closes the gate at this ratio of calls without a usable Flinks response. Too low: a bad minute stops
    all calls."""
    gate_outage_min_calls: Annotated[int, Field(ge=2, le=10_000)] = DEFAULT_RULES.outage_min_calls
    """Minimum number of calls in the window before that ratio counts. Too low: chance closes the gate. Too high:
    outages cost more attempts."""
    gate_outage_window_seconds: Annotated[float, Field(ge=1, le=600)] = DEFAULT_RULES.outage_window_seconds
    """Length of the window. Too low: quiet hours never have enough calls. Too high: old successes hide an outage."""
    gate_outage_in_a_row: Annotated[int, Field(ge=2, le=10_000)] = DEFAULT_RULES.outage_in_a_row
    """An outage also closes the gate at this number of logins in a row without a usable Flinks response, over any time.
    Too low: chance closes the gate. Too high: outages in quiet hours go unnoticed."""
    gate_storm_logins: Annotated[int, Field(ge=2, le=100_000)] = DEFAULT_RULES.storm_logins
    """A storm closes the gate at this number of logins in a row with INVALID_LOGIN or UNAUTHORIZED: the customer id is
    probably wrong. Too low: a batch of deleted logins stops all calls. Too high: a wrong customer id makes more dead
    letters, which must be replayed."""

    login_keys: LoginKeys | None = None
    """Secret: keys that derive references and seal loginIds, newest first, comma-separated; `nightly keys new` prints
    one."""
    seal_to: PublicKeyText | None = None
    """The workers' public key, with which producers and `POST /events` seal loginIds before Redis gets them; `nightly
    keys public` prints it."""
    require_sealed: bool = False
    """1: workers reject events with a loginId in clear."""

    review_users: SecretStr | None = None
    """Users of the review page: `name:role:hash`, comma-separated; `nightly users hash` prints the hash. Empty: the
    page is closed."""
    review_tokens: SecretStr | None = None
    """Tokens of the page's JSON API: `name:role:hash`, comma-separated; `nightly users token` prints both."""
    review_idle_minutes: Annotated[float, Field(gt=0, le=1440)] = 30
    """Minutes without a request after which a person must sign in again. Too high: an unattended screen stays open."""
    review_session_hours: Annotated[float, Field(gt=0, le=168)] = 12
    """Hours after which a person must sign in again in any case."""
    review_url: Origin | None = None
    """The address under which people open the page, such as `https://nightly.example.com`, without a path. Needed for
    REVIEW_OIDC_ISSUER."""
    review_roles: Annotated[dict[str, Role], NoDecode, BeforeValidator(read_role_map)] = Field(default_factory=dict)
    """The role of each group of your identity provider or proxy, in JSON: `'{"nightly-operators": "operator"}'`. A
    person with several groups gets the highest role; one with none may not enter."""
    review_proxy_addresses: Networks | None = None
    """Addresses or networks of a trusted proxy in front of the page, comma-separated. Only from them, the client's
    address is taken from X-Forwarded-For, and the person from the headers below. Too wide: anybody there can be
    anybody."""
    review_proxy_user_header: HeaderName | None = None
    """The header in which that proxy gives the name of the person whom it has authenticated. It must remove the header
    from requests of clients."""
    review_proxy_roles_header: HeaderName | None = None
    """The header in which that proxy gives the person's groups, comma-separated; REVIEW_ROLES maps them to roles."""
    review_oidc_issuer: PageUrl | None = None
    """The issuer of OpenID Connect, for single sign-on; needs the extra `[oidc]`. Register
    `<REVIEW_URL>/sign-in/oidc/callback` there."""
    review_oidc_client_id: Annotated[str | None, Field(pattern=r"^[!-~]+$", repr=False)] = None
    """The id of the page at that issuer."""
    review_oidc_client_secret: SecretStr | None = None
    """Secret: the secret of the page at that issuer."""
    review_oidc_roles_claim: Annotated[str, Field(pattern=r"^[!-~]+$", repr=False)] = "groups"
    """The claim of the ID token with the person's groups; REVIEW_ROLES maps them to roles."""
    http_events_secrets: WebhookSecrets | None = None
    """Secret: `name=whsec_...`, newest first, comma-separated, with which producers sign events over HTTP; `nightly
    keys webhook` prints the part after `=`. Empty: `POST /events` is closed."""
    http_events_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 200
    """Maximum events a second over HTTP, for each secret, in each `nightly review` process: with N processes, set one
    N-th of the total. Too low: producers wait. Too high: a faulty producer is not limited."""

    sentry_dsn: SecretStr | None = None
    """Secret: the Sentry project that gets gate changes, new kinds of dead letters and unexpected errors, scrubbed."""
    sentry_environment: str | None = None
    """The name of the environment in Sentry, such as `production`."""
    log_format: Literal["json", "console"] | None = None
    """`json` or `console`. Empty: `console` on a terminal, else `json`."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    """DEBUG, INFO, WARNING or ERROR. INFO logs a line for each event and for each call; WARNING saves their CPU."""
    metrics_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "127.0.0.1"
    """The address on which each worker serves Prometheus text. Beyond loopback, every machine that reaches it can read
    the numbers."""
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The port of that address; a further worker on the machine takes the next free one of the 15 after it. Empty: no
    metrics."""
    health_file: Annotated[Path | None, Field(repr=False)] = None
    """A file that a worker touches every 5 s while all its parts make progress, for a liveness probe."""

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
