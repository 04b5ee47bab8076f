"""Reads the state of the whole system, with the events that wait on each way in: stream, Celery's queue, review list.

`status`, `doctor`, the review page and the metrics show it. A message counts from the moment its producer sent it until
its events are recorded; one message may hold several events.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any

import redis

from worker.broker.celery_config import redis_broker
from worker.broker.rabbitmq import look, rabbit_of
from worker.config.settings import Settings
from worker.events.channels import EVENTS_QUEUE, STREAM
from worker.intake.celery_message import read_item
from worker.intake.celery_queue import NEXT, QUEUE_LISTS, TAKEN
from worker.intake.messages import CeleryMessage
from worker.intake.redis_stream import LARGEST_ENTRY_BYTES
from worker.intake.stream_group import GROUP
from worker.ledger import Letters
from worker.ledger.queries import Views
from worker.ledger.stream_state import AHEAD_MS
from worker.operations.diagnose_broker import reason_of
from worker.redis_client.connect import BytesRedis, connect

Way = dict[str, Any]
"""One way in: `events` (messages that wait; None: unknown), `unacknowledged` (those of them that a worker has read),
`oldest_seconds` (None: unknown, or none waits), and `problem` if the way cannot be read."""

RABBIT_SECONDS = 2
"""Limit for connecting to RabbitMQ and for each answer: a scrape of the metrics must end within 5 s."""
_UNACKED = "unacked"
"""kombu's hash of the messages of all queues that Celery has read and not acknowledged."""
_UNACKED_AT_MOST = 1000
"""A longer hash belongs to another application too; then its messages are not counted."""
_UNACKED_END = f'"{EVENTS_QUEUE}"]'
"""The routing key ends each value of that hash."""
_COUNT = """
local group, largest = ARGV[1], tonumber(ARGV[2])
local count, unacknowledged, items = redis.call('XLEN', KEYS[1]), 0, {}
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local pending = redis.pcall('XPENDING', KEYS[1], group)
if not pending.err then unacknowledged = math.min(pending[1], count) end

local function add(item)
  if item and #item <= largest then items[#items + 1] = item end
end
for i = 3, #KEYS do
  count = count + redis.call('LLEN', KEYS[i])
  add(redis.call('LINDEX', KEYS[i], -1))
end
if KEYS[2] then
  for i, part in ipairs(first and first[2] or {}) do
    if part == 'message' and i % 2 == 1 then add(first[2][i + 1]) end
  end
  if redis.call('HLEN', KEYS[2]) <= tonumber(ARGV[3]) then
    for _, value in ipairs(redis.call('HVALS', KEYS[2])) do
      if value:sub(-#ARGV[4]) == ARGV[4] then count, unacknowledged = count + 1, unacknowledged + 1 end
    end
  end
end
return { count, unacknowledged, first and first[1] or '', items }
"""
"""KEYS: a stream; for the queue also `unacked`, then the lists. Reply: messages; those that a worker has read; id of
the first entry; the oldest message of each list and of the stream. One script, so that a message that is moved from a
list to the stream meanwhile is counted once."""


def read_state(client: BytesRedis, settings: Settings) -> dict[str, Any]:
    """Return `Views.status()` with `waiting_events`, a Way for each of `stream`, `queue` and `set_aside`.

    If the broker is RabbitMQ, also `rabbitmq`, the state of each queue; but a process that is not told of it, such as
    the review page, has the queue as unknown. Raises redis.RedisError of the ledger.
    """
    views = Views(client)
    now_ms = views.now_ms()
    # Read before the ledger: an event that has left its way in is in the ledger already.
    stream, queues, aside = stream_way(client, now_ms), None, _set_aside(client, now_ms)
    if rabbit := rabbit_of(settings):
        queue, queues = _rabbit_way(rabbit)
    else:
        queue = _queue_way(client, settings, now_ms)
    state = views.status()
    if settings.broker_url is None and any(worker.get("broker") == "rabbitmq" for worker in state["workers"]):
        queue = _unknown("the workers use RabbitMQ, and this process has no BROKER_URL")
    ways = {"stream": stream, "queue": queue, "set_aside": aside}
    return {**state, "waiting_events": ways} | ({} if queues is None else {"rabbitmq": queues})


def unrecorded(client: BytesRedis) -> int:
    """Return how many messages wait on the stream and on the queue, if this Redis is the broker too."""
    return int(stream_way(client, 0)["events"] + queue_way(client, 0)["events"])


def stream_way(client: BytesRedis, now_ms: int) -> Way:
    """Return the Way of `account-events:stream`; the id of an entry is the time when it was added."""
    count, unacknowledged, first_id, _ = client.eval(_COUNT, 1, STREAM, GROUP, 0)
    return _way(count, unacknowledged, _times_of(first_id), now_ms)


def queue_way(client: BytesRedis, now_ms: int) -> Way:
    """Return the Way of Celery's queue on a Redis broker.

    A Celery message has no time of sending: its age counts from `occurred_at`.
    """
    keys = (TAKEN, _UNACKED, NEXT, *QUEUE_LISTS)
    limits = (LARGEST_ENTRY_BYTES, _UNACKED_AT_MOST, _UNACKED_END)
    count, unacknowledged, first_id, items = client.eval(_COUNT, len(keys), *keys, GROUP, *limits)
    times = [*_times_of(first_id), *(at for item in items if (at := _occurred_at_ms(item)) is not None)]
    return _way(count, unacknowledged, times, now_ms)


def _queue_way(client: BytesRedis, settings: Settings, now_ms: int) -> Way:
    broker = redis_broker(settings)
    if broker == settings.redis_address():
        return queue_way(client, now_ms)
    try:
        with closing(connect(broker, name="nightly-status")) as other:
            return queue_way(other, now_ms)
    except redis.RedisError as error:
        return _unknown(f"the broker cannot be reached: {type(error).__name__}")


def _rabbit_way(url: str) -> tuple[Way, dict[str, Any] | None]:
    """Return the Way of RabbitMQ's queue, without unacknowledged messages and ages, which AMQP does not report."""
    try:
        queues = look(url, seconds=RABBIT_SECONDS)
    except Exception as error:  # noqa: BLE001 - the other values are useful without it; its text may hold the address
        return _unknown(f"RabbitMQ cannot be reached: {reason_of(error)}"), None
    events = queues[EVENTS_QUEUE]
    way = {"events": events.waiting if events else 0, "unacknowledged": None, "oldest_seconds": None}
    return way, {name: queue and asdict(queue) for name, queue in queues.items()}


def _set_aside(client: BytesRedis, now_ms: int) -> Way:
    """Return the Way of rejected messages, which wait for a person on the review list."""
    groups = [group for group in Letters(client).groups() if not group.instance]
    return _way(sum(group.count for group in groups), 0, [group.oldest_at for group in groups], now_ms)


def _way(count: int, unacknowledged: int, times: Sequence[float], now_ms: int) -> Way:
    oldest = min(times) if times and count else None
    is_known = oldest is not None and oldest <= now_ms + AHEAD_MS
    seconds = round(max(now_ms - oldest, 0) / 1000, 1) if is_known and oldest is not None else None
    return {"events": count, "unacknowledged": unacknowledged, "oldest_seconds": seconds}


def _unknown(problem: str) -> Way:
    return {"events": None, "unacknowledged": None, "oldest_seconds": None, "problem": problem}


def _times_of(entry_id: bytes) -> list[float]:
    return [float(entry_id.partition(b"-")[0])] if entry_id else []


def _occurred_at_ms(item: bytes) -> float | None:
    found = read_item(item, EVENTS_QUEUE)
    kwargs: Mapping[str, Any] = found.kwargs if isinstance(found, CeleryMessage) else {}
    try:
        at = datetime.fromisoformat(kwargs["occurred_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return at.timestamp() * 1000 if at.tzinfo else None
