"""Explains Redis errors to a person: the address, the problem and what to do, never a password or data.

The text of a Redis exception is never repeated: a server (or redis-py, for a pipeline) may quote the refused command,
and a command may hold a loginId.
"""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import redis
from redis.sentinel import MasterNotFoundError

from worker.errors import SettingsError
from worker.redis_client.connect import BytesRedis, connect

UNREADABLE = "an address that cannot be read (percent-encode special characters in the password)"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One sentence about the problem and one about what to do."""

    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what} {self.advice}"


def open_redis(url: str, *, name: str, variable: str = "REDIS_URL") -> BytesRedis:
    """Return a client for `url`, which connects at first use; raises SettingsError for an invalid address."""
    try:
        client = connect(url, name=name)
    except (ValueError, TypeError, redis.RedisError):
        client = None
    if client is None or place_of(url) == UNREADABLE:
        raise SettingsError([f"{variable}: names {UNREADABLE}"])
    return client


def place_of(url: str) -> str:
    """Return the part of a Redis URL that may be shown: `host:port`, the socket's path, or the sentinels."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", "" if parts.scheme in {"unix", "sentinel"} else parts.port or 6379
    except ValueError:
        return UNREADABLE
    if "@" in parts.path + parts.query + parts.fragment:
        return UNREADABLE
    if parts.scheme == "unix":
        return unquote(parts.path)
    return f"sentinels {parts.netloc.rpartition('@')[2]}" if parts.scheme == "sentinel" else f"{host}:{port}"


def trouble_of(error: BaseException, url: str) -> Trouble:
    """Return the explanation of a failed call to the Redis at `url`."""
    place = place_of(url)
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthenticationWrongNumberOfArgsError):
        return Trouble(f"Redis at {place} refuses our login.", "Check user and password in REDIS_URL.")
    if isinstance(error, redis.ResponseError):
        return _refused_command(error, place)
    return next(trouble for holds, trouble in _broken_connections(error, place) if holds)


def _broken_connections(error: BaseException, place: str) -> Iterator[tuple[bool, Trouble]]:
    """Yield each possible problem and whether it applies; the last one always does."""
    chain = list(_chain(error))
    texts = " ".join(str(each) for each in chain).lower()

    def holds(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in chain)

    yield (
        holds(ssl.SSLError) or "ssl" in texts,
        Trouble(
            f"No secure connection to Redis at {place}: the TLS handshake failed.",
            "Use rediss:// only where the server speaks TLS, and check its certificate.",
        ),
    )
    yield (
        holds(socket.gaierror, UnicodeError),
        Trouble(f"The host of Redis at {place} is unknown.", "Check the host in REDIS_URL, and this machine's DNS."),
    )
    yield (
        holds(MasterNotFoundError) and ("authentication" in texts or "password" in texts),
        Trouble(f"Redis' {place} refuse our login.", "Check sentinel_username and sentinel_password in REDIS_URL."),
    )
    yield (
        holds(MasterNotFoundError),
        Trouble(f"No primary is known to {place}.", "Check the service name in REDIS_URL, and the sentinels."),
    )
    yield (
        holds(redis.BusyLoadingError),
        Trouble(f"Redis at {place} is still loading its data.", "Wait, and try again."),
    )
    yield (
        holds(ConnectionRefusedError, FileNotFoundError),
        Trouble(f"Nothing listens at {place}.", "Start Redis there, or correct REDIS_URL."),
    )
    yield (
        holds(PermissionError),
        Trouble(f"The socket of Redis at {place} is closed to this user.", "Run this as the user that runs Redis."),
    )
    yield (
        "path too long" in texts,
        Trouble(f"The path {place} is too long for a socket.", "Let Redis listen at a shorter path (103 bytes)."),
    )
    yield (
        holds(redis.TimeoutError, TimeoutError),
        Trouble(f"Redis at {place} does not answer in time.", "Check that it runs, and the network to it."),
    )
    yield True, Trouble(f"The connection to Redis at {place} broke.", "Check that it runs, and try again.")


_REFUSALS = {
    "NOAUTH": ("asks for a password.", "Put it into REDIS_URL: redis://:password@host:6379/0"),
    "WRONGPASS": ("refuses our login.", "Check user and password in REDIS_URL."),
    "NOPERM": (
        "does not permit this user what Nightly needs.",
        "Grant it the permissions in docs/operating.md; an administrator sees the refused command with ACL LOG.",
    ),
    "OOM": ("is full and accepts no more writes.", "Raise maxmemory, or find what fills it."),
    "NOREPLICAS": (
        "accepts no writes while it has too few replicas (min-replicas-to-write).",
        "Bring its replicas back.",
    ),
    "READONLY": ("is a replica, which accepts no writes.", "Point REDIS_URL at the primary."),
    "MISCONF": ("cannot write to its disk, so it accepts no writes.", "Free its disk; its log says more."),
    "LOADING": ("is still loading its data.", "Wait, and try again."),
    "BUSY": ("is busy with a long script.", "Wait, and try again."),
    "MOVED": ("is a cluster, which Nightly does not support.", "Point REDIS_URL at a single primary."),
    "CROSSSLOT": ("is a cluster, which Nightly does not support.", "Point REDIS_URL at a single primary."),
    "WRONGTYPE": ("holds foreign data under one of Nightly's keys.", "Give Nightly a database of its own."),
}
_REFUSED_A_COMMAND = ("refused a command.", "`nightly doctor` checks what Nightly needs of it.")
_REFUSED_BY_CLASS = {
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.MovedError: "MOVED",
}
_REFUSED_TO_SCRIPT = ("ACL failure in script", "The user executing the script can't")
"""How Valkey, Redis 6.2 and Redis 7 begin the error of a script that lacks a permission; it has no code NOPERM."""


_REFUSED_BEFORE = {"NOAUTH", "WRONGPASS", "OOM", "NOREPLICAS", "READONLY", "MISCONF", "LOADING", "BUSY"}
"""Redis gives these refusals before a command or a script has changed anything."""


def refusal_before_a_change(error: redis.RedisError) -> str:
    """Return why Redis refused a command, without its address, if nothing was changed by it; else an empty text."""
    code = _code_of(error)
    return f"Redis {' '.join(_REFUSALS[code])}" if code in _REFUSED_BEFORE else ""


def in_log(error: BaseException) -> dict[str, str]:
    """Return the fields of a log line about a failure: `error`, and `reason` if Redis answered with a refusal."""
    kind = type(error).__name__
    if not isinstance(error, redis.ResponseError):
        return {"error": kind}
    return {"error": kind, "reason": f"Redis {' '.join(_refusal(error))}"}


def is_wrong_type(error: redis.RedisError) -> bool:
    """Return whether a key has another type than Nightly gives it, so that somebody changed it."""
    return _code_of(error) == "WRONGTYPE"


def _refused_command(error: redis.ResponseError, place: str) -> Trouble:
    what, advice = _refusal(error)
    return Trouble(f"Redis at {place} {what}", advice)


def _refusal(error: redis.ResponseError) -> tuple[str, str]:
    """Return what Redis says, and what to do about it."""
    return _REFUSALS.get(_code_of(error) or "", _REFUSED_A_COMMAND)


def _code_of(error: redis.RedisError) -> str | None:
    """Return the code of a refusal. redis-py strips the code from some replies, which its exception class replaces."""
    if any(beginning in str(error) for beginning in _REFUSED_TO_SCRIPT):
        return "NOPERM"
    code = next((code for kind, code in _REFUSED_BY_CLASS.items() if isinstance(error, kind)), None)
    words = {word.lstrip("-") for word in str(error).rpartition("caused error: ")[2].split()}
    return code or next((code for code in _REFUSALS if code in words), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
