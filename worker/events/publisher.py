"""Publishes events: validates each, seals its loginId if SEAL_TO is set, then adds it to the workers' stream.

When a function returns, its events are in Redis. Needs REDIS_URL, and SEAL_TO to seal loginIds, but no key of the
workers or of Flinks. An event that workers would reject raises InvalidEvent before any part of it is sent.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.config.sources import settings_files
from worker.config.validators import PublicKeyText, RedisUrl
from worker.errors import InvalidEvent, NotReplicated, SettingsError
from worker.events.channels import STREAM
from worker.events.contract import EVENT_TYPES, MAX_BODY_BYTES, LifecycleEvent, Requirements
from worker.events.worker_instances import instances_of_workers
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import open_redis
from worker.vault.sealed_box import SealingKey

Kind = Literal["linked", "inactive"]
FIELD = "event"
SOURCE = "nightly"
BATCH = 500
"""Events sent in one round trip."""
REPLICAS_WITHIN_MS = 2000
"""How long replicas may take to confirm; less than the ledger's socket timeout."""


class _ProducerSettings(BaseSettings):
    """A producer's settings; the rest of its environment belongs to another application."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )
    redis_url: RedisUrl | None = None
    seal_to: PublicKeyText | None = None
    require_sealed: bool = False
    event_max_ahead_seconds: Annotated[float, Field(ge=0, le=604_800)] = 3600


def publish(
    kind: Kind,
    *,
    login_id: str,
    occurred_at: datetime | str | None = None,
    account_id: str | None = None,
    instance: str | None = None,
    event_id: str | None = None,
    redis_url: str | None = None,
    seal_to: str | None = None,
    client: BytesRedis | None = None,
    replicas: int = 0,
) -> str:
    """Publish that an account was linked or went inactive; returns the event's id.

    `occurred_at` (RFC 3339, or an aware datetime; default: now) decides the order of events, not the time of
    publishing. Publishing the same `event_id` again is harmless. The call blocks, and keeps its connection for the
    next one. `seal_to` (default: SEAL_TO) is the output of `nightly keys public`; with it the loginId leaves this
    process sealed. With `replicas`, returns once that many replicas have the event, so that it survives a failover.
    Raises InvalidEvent for an event that workers would reject: its `reason` names the field and the rule, and nothing
    is sent. Its `code` is `unknown_instance` if no live worker has the instance; else it is `invalid_event`. Besides
    the rules for the fields, these are EVENT_MAX_AHEAD_SECONDS, by this machine's clock, and REQUIRE_SEALED, if set
    here too. Raises SettingsError if a setting is wrong, redis.RedisError and NotReplicated; after the last two,
    publish the same `event_id` again.
    """
    arguments = {
        "type": f"account.{kind}",
        "login_id": login_id,
        "occurred_at": datetime.now(UTC) if occurred_at is None else occurred_at,
        "account_id": account_id,
        "instance": instance,
        "event_id": event_id,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    connection = client or _client(redis_url)
    event, body = Preparation(connection, seal_to).prepare(given)
    send(connection, [body], replicas=replicas)
    return event.event_id


def publish_many(
    events: Iterable[object],
    *,
    redis_url: str | None = None,
    seal_to: str | None = None,
    client: BytesRedis | None = None,
    on_invalid: Callable[[int, InvalidEvent], None] | None = None,
    on_sent: Callable[[int], None] = lambda _: None,
    replicas: int = 0,
) -> int:
    """Publish any number of events in bounded memory; returns how many were sent.

    Each event has a form that `Preparation.prepare` accepts. With `on_invalid`, an invalid event is passed to it with
    its position (from 1), and the others are sent. Without it, an invalid event raises InvalidEvent; whole batches
    before it have been sent. `on_sent` is called with the count after each batch. Otherwise it raises what `publish`
    raises.
    """
    connection = client or _client(redis_url)
    bodies = _prepared(events, Preparation(connection, seal_to), on_invalid)
    sent = 0
    while batch := list(islice(bodies, BATCH)):
        send(connection, batch, replicas=replicas)
        sent += len(batch)
        on_sent(sent)
    return sent


class Preparation:
    """Validates events and seals their loginIds, by a producer's settings and the instances of live workers.

    Raises SettingsError if a setting is wrong.
    """

    def __init__(self, client: BytesRedis, seal_to: str | None = None) -> None:
        settings = _settings()
        self._client = client
        self._key = _sealing_key(seal_to or settings.seal_to)
        self._requirements = Requirements(
            max_ahead_seconds=settings.event_max_ahead_seconds, require_sealed=settings.require_sealed
        )

    def prepare(self, event: object) -> tuple[LifecycleEvent, bytes]:
        """Return a valid event and its CloudEvent's bytes; raises InvalidEvent if workers would reject it.

        Accepts a CloudEvent, or a flat object with `type`, `login_id` or `sealed_login_id`, `occurred_at`, and
        optionally `event_id`, `account_id` and `instance`. The instance is empty if the event names none.
        """
        parsed, document = read_event(event)
        time_field, login_field = ("time", "data.loginId") if document is event else ("occurred_at", "login_id")
        self._requirements.check_time(parsed, datetime.now(UTC), field=time_field)
        requirements = self._requirements
        if parsed.instance:
            requirements = replace(requirements, instances=instances_of_workers(self._client, parsed.instance))
        is_sealed = self._key is not None or bool(parsed.sealed_login_id)
        requirements.check(parsed, is_sealed=is_sealed, login_field=login_field)
        return parsed, _encode(sealed(document, self._key))


def read_event(event: object) -> tuple[LifecycleEvent, Mapping[str, Any]]:
    """Validate the form of a CloudEvent or a flat object; returns the event and its CloudEvent. Raises InvalidEvent."""
    if not isinstance(event, Mapping):
        raise InvalidEvent("event: must be an object")
    if "specversion" in event or "data" in event:
        return LifecycleEvent.from_cloudevent(event, ""), event
    arguments = {"event_id": str(uuid4()), **event}
    event_type = arguments.pop("type", None)
    if not isinstance(event_type, str) or event_type not in EVENT_TYPES:
        raise InvalidEvent("type: must be account.linked or account.inactive")
    parsed = LifecycleEvent.from_celery(event_type, arguments, "")
    return parsed, _cloudevent(event_type, parsed)


def sealed(document: Mapping[str, Any], key: SealingKey | None) -> Mapping[str, Any]:
    """Return a valid CloudEvent with its loginId sealed to `key`; unchanged without a key, or if it is sealed."""
    login_id = document["data"].get("loginId")
    if key is None or login_id is None:
        return document
    others = {name: value for name, value in document["data"].items() if name != "loginId"}
    return {**document, "data": {"sealedLoginId": key.seal(login_id), **others}}


def send(client: BytesRedis, bodies: Sequence[bytes], *, replicas: int = 0) -> Sequence[bytes]:
    """Add valid events to the stream in one round trip, return their entries' ids; raises RedisError, NotReplicated."""
    pipeline = client.pipeline(transaction=False)
    for body in bodies:
        pipeline.xadd(STREAM, {FIELD: body})
    if replicas:
        pipeline.wait(replicas, REPLICAS_WITHIN_MS)
    replies = pipeline.execute()
    if replicas and replies[-1] < replicas:
        raise NotReplicated(f"{replies[-1]} of {replicas} replicas have confirmed the event; publish it again")
    return list(replies[: len(bodies)])


def _prepared(
    events: Iterable[object], preparation: Preparation, on_invalid: Callable[[int, InvalidEvent], None] | None
) -> Iterator[bytes]:
    for position, event in enumerate(events, 1):
        try:
            _, body = preparation.prepare(event)
        except InvalidEvent as error:
            if on_invalid is None:
                raise InvalidEvent(f"event {position}: {error.reason}", code=error.code) from None
            on_invalid(position, error)
        else:
            yield body


def _encode(document: Mapping[str, Any]) -> bytes:
    try:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidEvent("event: holds a value that cannot be written as JSON") from None
    if len(body) > MAX_BODY_BYTES:
        raise InvalidEvent(f"event: larger than {MAX_BODY_BYTES} bytes")
    return body


def _cloudevent(event_type: str, event: LifecycleEvent) -> Mapping[str, Any]:
    login = {"sealedLoginId": event.sealed_login_id} if event.sealed_login_id else {"loginId": event.login_id}
    data = login | ({"instance": event.instance} if event.instance else {})
    document = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": SOURCE,
        "type": event_type,
        "time": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return document | ({"subject": event.account_id} if event.account_id else {})


def _client(redis_url: str | None) -> BytesRedis:
    if redis_url is not None:
        return _connected(redis_url)
    address = _settings().redis_url
    if address is None:
        raise SettingsError(["REDIS_URL: must be set here, for example redis://localhost:6379/0"])
    return _connected(address.get_secret_value())


def _sealing_key(seal_to: str | None) -> SealingKey | None:
    try:
        return SealingKey.parse(seal_to) if seal_to else None
    except ValueError as error:
        raise SettingsError([f"SEAL_TO: {error}"]) from None


def _settings() -> _ProducerSettings:
    try:
        return _ProducerSettings(_env_file=settings_files())
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}" for item in found]
        raise SettingsError(lines) from None


@lru_cache(maxsize=4)
def _connected(url: str) -> BytesRedis:
    return open_redis(url, name="nightly-publish")
