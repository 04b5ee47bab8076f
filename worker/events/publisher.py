"""Publishes events: validates each, seals its loginId if SEAL_TO is set, then adds it to the workers' stream.

When a function returns, its events are in Redis. Needs REDIS_URL, and SEAL_TO to seal loginIds, but no key of the
workers or of Flinks. An event that workers would reject raises InvalidEvent before any part of it is sent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Literal

from worker.errors import InvalidEvent, NotReplicated, SettingsError
from worker.events.channels import STREAM
from worker.events.preparation import Preparation, ProducerSettings
from worker.redis_client.connect import BytesRedis
from worker.redis_client.error_messages import open_redis

Kind = Literal["linked", "inactive"]
FIELD = "event"
BATCH = 500
"""Events sent in one round trip."""
REPLICAS_WITHIN_MS = 2000
"""How long replicas may take to confirm; less than the ledger's socket timeout."""


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
    publishing. Publishing the same `event_id` again is harmless. The call blocks, and keeps its connection and its
    settings for the next one. `seal_to` (default: SEAL_TO) is the output of `nightly keys public`; with it the loginId
    leaves this process sealed. With `replicas`, returns once that many replicas have the event, so that it survives a
    failover.

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
    event, body = _preparation(connection, seal_to).prepare(given)
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
    bodies = _prepared(events, _preparation(connection, seal_to), on_invalid)
    sent = 0
    while batch := list(islice(bodies, BATCH)):
        send(connection, batch, replicas=replicas)
        sent += len(batch)
        on_sent(sent)
    return sent


def send(client: BytesRedis, bodies: Sequence[bytes], *, replicas: int = 0) -> Sequence[bytes]:
    """Add valid events to the stream in one round trip, return their entries' ids; raises RedisError, NotReplicated."""
    if len(bodies) == 1 and not replicas:
        return [client.xadd(STREAM, {FIELD: bodies[0]})]  # a pipeline would cost more
    pipeline = client.pipeline(transaction=False)
    for body in bodies:
        pipeline.xadd(STREAM, {FIELD: body})
    if replicas:
        pipeline.wait(replicas, REPLICAS_WITHIN_MS)
    replies = pipeline.execute()
    if replicas and replies[-1] < replicas:
        raise NotReplicated(f"{replies[-1]} of {replicas} replicas have confirmed the event; publish it again")
    return list(replies[: len(bodies)])


@lru_cache(maxsize=4)
def _preparation(client: BytesRedis, seal_to: str | None) -> Preparation:
    """Return what a process keeps between calls: its settings are read once, and again only after an error."""
    return Preparation(client, seal_to)


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


@lru_cache(maxsize=4)
def _client(redis_url: str | None) -> BytesRedis:
    if redis_url is None:
        address = ProducerSettings.load().redis_url
        if address is None:
            raise SettingsError(["REDIS_URL: must be set here, for example redis://localhost:6379/0"])
        redis_url = address.get_secret_value()
    return open_redis(redis_url, name="nightly-publish")
