"""Searches everything that Nightly wrote for secrets in any spelling.

Shared by the leak test and the chaos run.
"""

import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.spellings import CASELESS, ENCODINGS

INBOUND = {b"account-events", b"account-events:stream", b"account-events:taken", b"account-events:next", b"unacked"}
"""Keys where events wait unchanged until intake; `unacked` has the messages that Celery has taken off its queue."""

_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
Written = Sequence[tuple[str, bytes]]
"""Places with their content."""


def spellings(secret: str) -> set[bytes]:
    """Return the hidden spellings of a secret, all in lower case.

    For base64 the characters that depend on adjacent bytes are left out.
    """
    found = {encode(secret).lower().encode() for name, encode in ENCODINGS.items() if "base64" not in name}
    for form in {secret, secret.upper(), secret.replace("-", "")}:
        found |= {encode(form)[4:-4].encode() for encode in CASELESS.values()}
    return found


def leaks(secrets: Iterable[str], written: Written) -> list[str]:
    """Return one line for each spelling of a secret that was found."""
    lowered = [(place, text.lower().translate(_TO_URL_ALPHABET)) for place, text in written]
    found = []
    for secret in secrets:
        for spelling in spellings(secret):
            places = [place for place, text in lowered if spelling.translate(_TO_URL_ALPHABET) in text]
            found += [f"{secret!r} stands in {places}"] if places else []
    return found


def logs_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every log below a folder."""
    for path in folder.rglob("*.log"):
        yield f"log {path.name}", path.read_bytes()


def redis_contents(redis: Any, *, but_not: Collection[bytes] = INBOUND) -> Iterator[tuple[str, bytes]]:
    """Yield the name of every key, and its value unless it is in `but_not`, where inbound events wait."""
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
        if key not in but_not and kind != b"none":
            yield f"value of {key!r}", repr(readers[kind](key)).encode()


def output_of(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> bytes:
    """Return the whole output of `nightly <arguments>`."""
    command = [sys.executable, "-m", "worker", *arguments]
    done = subprocess.run(command, env=dict(environment), cwd=folder, timeout=60, capture_output=True, check=False)
    assert done.returncode in {0, 1}, done.stderr.decode()
    assert done.stdout
    return done.stdout + done.stderr
