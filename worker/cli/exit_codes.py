"""Maps the error of a failed command to an exit code and a message on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
import typer
from typer.exceptions import TyperException

from worker.config.settings import Settings
from worker.errors import NightlyError, SettingsError
from worker.redis_client.error_messages import trouble_of

FOUND_WRONG = 1
WRONG_USAGE = 2


def print_error(error: Exception) -> int:
    """Print the error to stderr and return the exit code. An unexpected error is raised again; its log is scrubbed."""
    if isinstance(error, TyperException):
        _print_usage_error(error)
        return WRONG_USAGE
    if isinstance(error, typer.Abort):
        _print("Aborted: nothing was changed.")
        return FOUND_WRONG
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


@contextmanager
def rest_is_printed() -> Iterator[Callable[[NightlyError], None]]:
    """Yield what prints an error about one thing of a list; after one, the command ends with FOUND_WRONG."""
    found: list[str] = []

    def add(error: NightlyError) -> None:
        found.append(str(error))
        _print(found[-1])

    yield add
    if found:
        raise typer.Exit(FOUND_WRONG)


def _print_usage_error(error: TyperException) -> None:
    """Print plain lines: typer's box would break ids and paths across lines."""
    if message := error.format_message():  # without one, the help was printed
        _print(f"Error: {message}")
        context = getattr(error, "ctx", None)
        _print(*[f"For help: {context.command_path} --help"] if context else [])


def _redis_url() -> str:
    try:
        url = Settings.load().redis_url
    except SettingsError:
        return ""
    return url.get_secret_value() if url else ""


def _print(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - for a person
