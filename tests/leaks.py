"""Searches everything that Nightly wrote for secrets, in whatever spelling they may hide.

Shared by the leak test and the chaos run.
"""

import base64
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

INBOUND = {b"account-events", b"account-events:stream", b"account-events:taken", b"account-events:next", b"unacked"}
"""Where events wait as they came, until intake; `unacked` is what Celery has taken out of its queue."""

Written = Sequence[tuple[str, bytes]]
"""Places with what stands there."""


def spellings(secret: str) -> list[bytes]:
    """Return the ways in which a secret may stand somewhere without being seen by eye."""
    raw = secret.encode()
    middle = [base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)]
    return [
        raw.lower(),
        json.dumps(secret)[1:-1].encode().lower(),
        urllib.parse.quote(secret).encode().lower(),
        *middle,
    ]


def leaks(secrets: Iterable[str], written: Written) -> list[str]:
    """Return one line for each spelling of a secret that stands somewhere."""
    lowered = [(place, text, text.lower()) for place, text in written]
    found = []
    for secret in secrets:
        for spelling in spellings(secret):
            places = [place for place, text, low in lowered if spelling in text or spelling in low]
            found += [f"{secret!r} stands in {places}"] if places else []
    return found


def logs_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every log below a folder."""
    for path in folder.rglob("*.log"):
        yield f"log {path.name}", path.read_bytes()


def redis_contents(redis: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the name of every key, and its value where no inbound event waits."""
    readers = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"stream": redis.xrange,
    }
    for key in redis.scan_iter(count=1000):
        yield f"name of {key!r}", key
        kind = redis.type(key)
        if key not in INBOUND and kind != b"none":
            yield f"value of {key!r}", repr(readers[kind](key)).encode()


def output_of(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> bytes:
    """Return everything that `nightly <arguments>` prints."""
    command = [sys.executable, "-m", "worker", *arguments]
    done = subprocess.run(command, env=dict(environment), cwd=folder, timeout=60, capture_output=True, check=False)
    assert done.returncode in {0, 1}, done.stderr.decode()
    assert done.stdout
    return done.stdout + done.stderr
