"""What exists: ids, codes and instances for completion in a shell, and for the answer to an unknown one.

Completion is bounded, quick, and silent if Redis or the settings are not at hand.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from difflib import get_close_matches
from io import StringIO
from typing import NoReturn

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.cli.context import known_instances, misuse, settings_and_client
from worker.config.settings import Settings
from worker.errors import NightlyError, UnknownBackfill, UnknownJob, UnknownLetter
from worker.ledger.dead_letters import Letter, Letters, parts_of
from worker.redis_client.connect import BytesRedis

COMPLETION_SECONDS = 0.5
AT_MOST = 500
"""Ids read for one answer: the newest."""
NAMED = 8


def codes(client: BytesRedis) -> list[str]:
    """Return the codes of open dead letters."""
    return sorted({parts_of(raw)[1] for raw in client.smembers("nightly:groups")})


def letter_ids(client: BytesRedis) -> list[str]:
    """Return the newest open dead letters, newest first."""
    return [raw.decode() for raw in client.zrevrange("nightly:letters:open", 0, AT_MOST - 1)]


def backfill_ids(client: BytesRedis) -> list[str]:
    """Return the newest backfills, newest first."""
    return [raw.decode() for raw in client.zrevrange("nightly:backfills", 0, AT_MOST - 1)]


def job_ids(client: BytesRedis) -> list[str]:
    """Return the newest bulk jobs, newest first."""
    return [raw.decode() for raw in client.zrevrange("nightly:bulk-jobs", 0, AT_MOST - 1)]


def worker_names(client: BytesRedis) -> list[str]:
    """Return the names of workers that sent a heartbeat lately, without the part that changes with each start."""
    return sorted({raw.decode().partition("#")[0] for raw in client.hkeys("nightly:workers")})


def known_instance(settings: Settings, client: BytesRedis, name: str) -> str:
    """Return the name, or exit with code 2 and name the instances that exist."""
    known = known_instances(settings, client)
    return name if name in known else _unknown("no such instance", name, known)


def check_filters(settings: Settings, client: BytesRedis, *, code: str | None, instance: str | None) -> None:
    """Exit with code 2 if no dead letter can have this code or instance, and name those that exist."""
    if instance is not None:
        known_instance(settings, client, instance)
    from worker.operations.advice import KNOWN_CODES  # noqa: PLC0415 - a health check needs none of it

    if code is not None and code not in {*codes(client), *KNOWN_CODES}:
        _unknown("no such code", code, codes(client) or sorted(KNOWN_CODES))


def known_letter(client: BytesRedis, letter_id: str) -> Letter:
    """Return a dead letter; raises UnknownLetter, which names those that are open."""
    try:
        return Letters(client).get(letter_id)
    except UnknownLetter as error:
        raise UnknownLetter(f"{error}. {existing(letter_id, letter_ids(client))}") from None


def known_backfill(client: BytesRedis, backfill_id: str) -> str:
    """Return the id; raises UnknownBackfill, which names those that exist."""
    known = backfill_ids(client)
    if backfill_id in known or client.exists(f"nightly:backfill:{backfill_id}"):
        return backfill_id
    raise UnknownBackfill(f"there is no backfill {backfill_id!r}. {existing(backfill_id, known)}")


def known_job(client: BytesRedis, job_id: str) -> str:
    """Return the id; raises UnknownJob, which names the bulk jobs that exist."""
    known = job_ids(client)
    if job_id in known or (job_id.startswith("job-") and client.exists(f"nightly:backfill:{job_id}")):
        return job_id
    raise UnknownJob(f"there is no bulk job {job_id!r}. {existing(job_id, known)}")


def existing(given: str, known: Sequence[str]) -> str:
    """Return a sentence that names what exists, the closest first."""
    if not known:
        return "None exists."
    closest = get_close_matches(given, known, n=NAMED, cutoff=0)
    more = f", and {len(known) - len(closest):,} more" if len(known) > len(closest) else ""
    return f"Known: {', '.join(closest)}{more}"


def completed(find: Callable[[BytesRedis], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return a completion for typer, from a function that reads what exists."""

    def complete(incomplete: str) -> list[str]:
        try:
            with redirect_stderr(StringIO()):  # where settings were found is no answer
                _, client = settings_and_client()
            options = {"socket_timeout": COMPLETION_SECONDS, "socket_connect_timeout": COMPLETION_SECONDS}
            client.connection_pool.connection_kwargs.update(options, retry=Retry(NoBackoff(), 0))
            return [each for each in find(client) if each.startswith(incomplete)]
        except (NightlyError, redis.RedisError, OSError):
            return []

    return complete


def _instances(client: BytesRedis) -> list[str]:
    return known_instances(Settings.load(), client)


def _unknown(problem: str, given: str, known: Sequence[str]) -> NoReturn:
    misuse(f"{problem}. {existing(given, known)}")


complete_code = completed(codes)
complete_letter = completed(letter_ids)
complete_backfill = completed(backfill_ids)
complete_job = completed(job_ids)
complete_instance = completed(_instances)
complete_worker = completed(worker_names)
