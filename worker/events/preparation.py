"""Prepares events for sending: validates each by the workers' rules, and seals its loginId if SEAL_TO is set.

Reads a producer's settings: REDIS_URL, SEAL_TO, REQUIRE_SEALED and EVENT_MAX_AHEAD_SECONDS.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from uuid import uuid4

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.config.sources import settings_files
from worker.config.validators import PublicKeyText, RedisUrl
from worker.errors import InvalidEvent, SettingsError
from worker.events.contract import EVENT_TYPES, MAX_BODY_BYTES, LifecycleEvent, Requirements
from worker.events.worker_instances import WorkerInstances
from worker.redis_client.connect import BytesRedis
from worker.vault.sealed_box import SealingKey

SOURCE = "nightly"
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class ProducerSettings(BaseSettings):
    """A producer's settings; the rest of its environment belongs to another application."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )
    redis_url: RedisUrl | None = None
    seal_to: PublicKeyText | None = None
    require_sealed: bool = False
    event_max_ahead_seconds: Annotated[float, Field(ge=0, le=604_800)] = 3600

    @classmethod
    def load(cls) -> Self:
        """Read the environment and `.env`; raises SettingsError with a line for each wrong value."""
        try:
            return cls(_env_file=settings_files())
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)
            lines = [f"{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}" for item in found]
            raise SettingsError(lines) from None


class Preparation:
    """Validates events and seals their loginIds, by a producer's settings and the instances of live workers.

    Raises SettingsError if a setting is wrong.
    """

    def __init__(self, client: BytesRedis, seal_to: str | None = None) -> None:
        settings = ProducerSettings.load()
        self._instances = WorkerInstances(client)
        self._key = _sealing_key(seal_to or settings.seal_to)
        self._requirements = Requirements(
            max_ahead_seconds=settings.event_max_ahead_seconds, require_sealed=settings.require_sealed
        )
        self._never_ahead = datetime.now(UTC) + timedelta(seconds=settings.event_max_ahead_seconds)

    def prepare(self, event: object) -> tuple[LifecycleEvent, bytes]:
        """Return a valid event and its CloudEvent's bytes; raises InvalidEvent if workers would reject it.

        Accepts a CloudEvent, or a flat object with `type`, `login_id` or `sealed_login_id`, `occurred_at`, and
        optionally `event_id`, `account_id` and `instance`. The instance is empty if the event names none.
        """
        parsed, document = read_event(event)
        is_flat = document is not event
        if parsed.occurred_at > self._never_ahead:
            self._requirements.check_time(parsed, datetime.now(UTC), field="occurred_at" if is_flat else "time")
        if parsed.instance or self._requirements.require_sealed:
            known = self._instances.find(parsed.instance) if parsed.instance else None
            is_sealed = self._key is not None or bool(parsed.sealed_login_id)
            requirements = replace(self._requirements, instances=known) if known else self._requirements
            requirements.check(parsed, is_sealed=is_sealed, login_field="login_id" if is_flat else "data.loginId")
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


def _encode(document: Mapping[str, Any]) -> bytes:
    try:
        body = _JSON.encode(document).encode()
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


def _sealing_key(seal_to: str | None) -> SealingKey | None:
    try:
        return SealingKey.parse(seal_to) if seal_to else None
    except ValueError as error:
        raise SettingsError([f"SEAL_TO: {error}"]) from None
