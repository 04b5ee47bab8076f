"""Reads the attempts of a login, wherever they are kept: packed in its hash (attempts.lua), or as a list of JSON.

The list holds those of dead letters, and what was too varied to be packed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.redis_client.connect import BytesRedis

PIECES = 30
FIELDS = ("A", *(f"A{number}" for number in range(PIECES)))
DAY_MS = 86_400_000
MONTH_MS = KEPT_MS = 30 * DAY_MS
_Attempt = dict[str, Any]


def read_attempts(client: BytesRedis, reference: str, now_ms: int = 0) -> list[_Attempt]:
    """Return every remembered attempt of a login, oldest first; none when the last is over 30 days old at `now_ms`."""
    with client.pipeline(transaction=True) as pipeline:  # so that none is seen twice, or nowhere, as it moves
        pipeline.lrange(f"nightly:attempts:{reference}", 0, -1)
        pipeline.hmget(f"nightly:login:{reference}", FIELDS)
        listed, pieces = pipeline.execute()
    packed = sorted((entry for piece in pieces if piece for entry in _entries(piece)), key=lambda entry: entry[0])
    if packed and packed[-1][0] < now_ms - KEPT_MS:
        packed = []
    words = _words(client, packed)
    found = [json.loads(item) for item in listed]
    found += [_attempt(entry, words[key]) for entry in packed if (key := (entry[0] // MONTH_MS, entry[3])) in words]
    return sorted(found, key=lambda attempt: attempt.get("at", 0))


def _entries(piece: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield of each attempt in a piece: claimed at (ms), 2 x revision + wish, ms it took + 1, number of its words."""
    numbers, claimed_at = list(_numbers(piece[1:])), 0
    for at in range(0, len(numbers), 4):
        moment, revision, took, words = numbers[at : at + 4]
        claimed_at = claimed_at - moment if at else moment
        yield claimed_at, revision, took, words


def _numbers(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - the eighth bit: more follow
            yield number
            number = shift = 0


def _words(client: BytesRedis, entries: Sequence[tuple[int, int, int, int]]) -> Mapping[tuple[int, int], _Attempt]:
    wanted = sorted({(at // MONTH_MS, number) for at, _, _, number in entries})
    with client.pipeline(transaction=False) as pipeline:
        for month, number in wanted:
            pipeline.hget(f"nightly:words:{month}", str(number))
        found = pipeline.execute()
    return {key: json.loads(raw) for key, raw in zip(wanted, found, strict=True) if raw}


def _attempt(entry: tuple[int, int, int, int], words: _Attempt) -> _Attempt:
    at, revision, took, _ = entry
    seconds = {"seconds": (took - 1) / 1000} if took else {}
    return {"at": at, "revision": revision // 2, "wish": revision % 2 == 1, **seconds, **words}
