"""Finds logins and dead letters by an event id or an account id.

The ledger has no index of these ids: it would cost memory for each login and time for each event, to answer a rare
question. So a script reads the ledger in slices, each short enough not to delay the workers.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from worker.ledger.login_fields import LOGIN_FIELDS
from worker.redis_client.connect import BytesRedis

KEYS_IN_SLICE = 250
"""One to three milliseconds. The next slice waits as long as this one took, so half of Redis' time stays free."""
_SLICE = """
local cursor, keys = unpack(redis.call('SCAN', ARGV[1], 'MATCH', 'nightly:l*', 'COUNT', ARGV[2]))
local length, digest, found, logins = tonumber(ARGV[3]), ARGV[4], {}, 0
local function compare(kind, key, id, names)
  local ids = redis.pcall('HMGET', key, names[1], names[2])
  if ids.err then return end -- a person gave the key another type
  for i, by in ipairs({ 'event id', 'account id' }) do
    if ids[i] and #ids[i] == length and redis.sha1hex(ids[i]) == digest then found[#found + 1] = { kind, id, by } end
  end
end
for _, key in ipairs(keys) do
  local login, letter = key:match('^nightly:login:(.+)$'), key:match('^nightly:letter:(.+)$')
  if login then
    logins = logins + 1
    compare('login', key, login, { ARGV[5], ARGV[6] })
  elseif letter then
    compare('letter', key, letter, { 'event_id', 'account_id' })
  end
end
return { cursor, logins, found }
"""
"""It compares digests: a loginId that a person searches for by mistake does not reach Redis, nor its slow log."""


@dataclass(frozen=True, slots=True)
class Match:
    """A login (`id` is its reference) or a dead letter that has the wanted id."""

    kind: Literal["login", "letter"]
    id: str
    by: str
    """`event id` or `account id`."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search found so far: logins first, each once."""

    matches: list[Match]
    next: str | None
    """Where to go on; None: the whole ledger was read."""


def find(client: BytesRedis, wanted: str, *, on_logins: Callable[[int], None] = lambda _: None) -> list[Match]:
    """Return the logins whose newest event or account has this id, then the dead letters, each once.

    It reads the whole ledger; `on_logins` is called with the number of logins read so far. A login or letter that is
    added meanwhile may be missed. Raises redis.RedisError.
    """
    return find_for(client, wanted, on_logins=on_logins).matches


def find_for(
    client: BytesRedis,
    wanted: str,
    *,
    seconds: float = math.inf,
    after: str | None = None,
    on_logins: Callable[[int], None] = lambda _: None,
) -> Sought:
    """Search as `find` does, from the place `after` on (`Sought.next`), and stop after so many seconds."""
    found: dict[Match, None] = {}
    cursor, total, ends_at = after or "0", 0, time.monotonic() + seconds
    while True:
        began_at = time.monotonic()
        cursor, logins, matches = _slice(client, wanted, cursor)
        found |= dict.fromkeys(matches)
        total += logins
        on_logins(total)
        if cursor == "0" or time.monotonic() >= ends_at:
            order = sorted(found, key=lambda match: (match.kind == "letter", match.by, match.id))
            return Sought(order, None if cursor == "0" else cursor)
        time.sleep(time.monotonic() - began_at)


def _slice(client: BytesRedis, wanted: str, cursor: str) -> tuple[str, int, list[Match]]:
    text, names = wanted.encode(), (LOGIN_FIELDS["event_id"], LOGIN_FIELDS["account_id"])
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    reply = client.eval(_SLICE, 0, cursor, KEYS_IN_SLICE, len(text), digest, *names)
    following, logins, found = reply
    return following.decode(), logins, [Match(kind.decode(), name.decode(), by.decode()) for kind, name, by in found]
