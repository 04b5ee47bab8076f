"""Reads the state of the event stream: whether its ids follow the clock, and how many entries vanished unread."""

from typing import Any

from worker.redis_client.connect import BytesRedis

AHEAD_MS = 60_000
"""Ids further ahead of Redis' clock do not come from that clock, and hide how long entries wait."""
LARGEST_MS = 2**64 - 1
"""The first half of the largest id: a stream that has reached it accepts no entry, or soon will accept none."""

_STATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return { '0-0', 0 } end
local last, counts, about = '0-0', 0, redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #about, 2 do
  if about[i] == 'last-generated-id' then last = about[i + 1] end
  if about[i] == 'entries-added' then counts = 1 end
end
return { last, counts }
"""
"""In a script, because the reply of XINFO STREAM holds two whole entries."""


def account_key(stream: str) -> str:
    """Return the key of a stream's account (`worker/intake/stream_account.py`)."""
    return f"nightly:entries:{stream}"


def stream_state(client: BytesRedis, stream: str, now_ms: int) -> dict[str, Any]:
    """Return `last_id`, `ids_ahead_seconds`, `is_closed`, `counts_entries`, `vanished` and `vanished_at` (ms).

    Each name begins with `stream_`. Without `counts_entries` (before Redis 7, or no stream yet) most entries that
    vanish cannot be noticed.
    """
    last_id, counts_entries = client.eval(_STATE, 1, stream)
    vanished, vanished_at = client.hmget(account_key(stream), "vanished", "vanished_at")
    last_ms = int(last_id.partition(b"-")[0])
    return {
        "stream_last_id": last_id.decode(),
        "stream_ids_ahead_seconds": max(0, last_ms - now_ms) / 1000,
        "stream_is_closed": last_ms == LARGEST_MS,
        "stream_counts_entries": bool(counts_entries),
        "stream_vanished": int(vanished or 0),
        "stream_vanished_at": None if vanished_at is None else int(vanished_at),
    }
