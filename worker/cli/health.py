"""`nightly health`, for health checks: exits 0 if this machine's worker sends pulses and due work is processed."""

import json
import socket
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from worker.cli.context import settings_and_client
from worker.cli.known import complete_worker, existing, worker_names
from worker.ledger.queries import Views
from worker.operations.json_form import Document

NEGLECTED_SECONDS = 60.0


class Health(Document):
    """What a health check needs to know about this machine's worker."""

    is_healthy: bool
    reason: str | None = None
    silent_seconds: float | None = None
    neglected_seconds: float | None = None
    """How long work has been due without a reconciler."""


def health(
    *,
    max_silence: Annotated[float, typer.Option(help="Maximum seconds since the last pulse.", min=1, max=60)] = 15,
    worker: Annotated[
        str | None, typer.Option(help="A worker's name. [any on this host]", autocompletion=complete_worker)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Exit 0 if this machine's worker sent a pulse lately and due work is processed, else 1. Needs only REDIS_URL.

    A worker sends a pulse once a second while its loops run and Redis answers. Due work is not processed if it
    could be called, has been due for a minute, and there is no reconciler. HEALTH_FILE shows whether to restart a
    worker while Redis is away. With several workers on one host, name each (celery -A worker worker -n NAME@%h) and
    select one with --worker NAME@HOST.
    """
    _, client = settings_and_client()
    found = examine(Views(client), worker, max_silence)
    typer.echo(found.model_dump_json() if as_json else found.reason or f"last pulse {found.silent_seconds:.1f} s ago")
    if not found.is_healthy:
        raise typer.Exit(1)


def examine(views: Views, worker: str | None, max_silence: float) -> Health:
    """Return whether the worker sends pulses and due work is processed, and the reason if not."""
    now_ms = views.now_ms()
    silences = [
        max(0.0, (now_ms - json.loads(raw)["at"]) / 1000)
        for raw_name, raw in views.redis.hgetall("nightly:workers").items()
        if is_meant(raw_name.decode(), worker or socket.gethostname())
    ]
    if not silences:
        place = "on this host" if worker is None else f"with the name {worker!r}"
        known = existing(worker or socket.gethostname(), worker_names(views.redis))
        return Health(is_healthy=False, reason=f"no worker {place} is known. {known}")
    if min(silences) > max_silence:
        reason = f"the last pulse was {min(silences):.1f} s ago, and {max_silence:g} s are allowed"
        return Health(is_healthy=False, reason=reason, silent_seconds=min(silences))
    waited = neglected_seconds(views.status())
    neglect = f"work has been due for {waited:.0f} s, and there is no reconciler" if waited else None
    return Health(is_healthy=not waited, reason=neglect, silent_seconds=min(silences), neglected_seconds=waited)


def neglected_seconds(status: Mapping[str, Any]) -> float:
    """Return how long work that may be called has been due without a reconciler; 0 up to NEGLECTED_SECONDS."""
    callable_now = (
        about["oldest_due_seconds"]
        for about in status["instances"].values()
        if about["gate"]["state"] == "open" and not about["paused_seconds"]
    )
    longest = max(callable_now, default=0)
    return float(longest) if longest > NEGLECTED_SECONDS and not status["reconcilers"] else 0


def is_meant(name: str, wanted: str) -> bool:
    """Return whether a worker's name (`celery@host#pid-start`) is the wanted name, or is on the wanted host."""
    node = name.partition("#")[0]
    return wanted in {name, node, node.rpartition("@")[2]}
