"""Maps the error of a failed command to an exit code and a message on stderr."""

import sys

import redis

from worker.config.settings import Settings
from worker.errors import NightlyError, SettingsError
from worker.redis_client.error_messages import trouble_of

FOUND_WRONG = 1
WRONG_USAGE = 2


def print_error(error: Exception) -> int:
    """Print the error to stderr and return the exit code. An unexpected error is raised again; its log is scrubbed."""
    if isinstance(error, SettingsError):
        _print(*error.lines)
        return WRONG_USAGE
    if isinstance(error, NightlyError):
        _print(str(error))
        return FOUND_WRONG
    if isinstance(error, redis.RedisError):
        _print(str(trouble_of(error, _redis_url())))
        return FOUND_WRONG
    from worker.telemetry.logs import configure_logging  # noqa: PLC0415 - heavy, and only for a crash

    configure_logging(log_format="console", log_level="INFO")
    raise error


def _redis_url() -> str:
    try:
        url = Settings.load().redis_url
    except SettingsError:
        return ""
    return url.get_secret_value() if url else ""


def _print(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - for a person
