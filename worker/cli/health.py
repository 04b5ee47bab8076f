"""`nightly health`, for health checks: did this machine's worker send a heartbeat, and is due work processed?"""

import json
import socket
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from worker.cli.context import open_ledger
from worker.ledger.queries import Views

NEGLECTED_SECONDS = 60.0


def health(
    *,
    max_silence: Annotated[float, typer.Option(help="Seconds since the last pulse.", min=1, max=60)] = 15,
    worker: Annotated[str | None, typer.Option(help="A worker's name. [any of this host]")] = None,
) -> None:
    """Exit 0 when this machine's worker pulsed lately and due work is worked on, else 1. Needs REDIS_URL alone.

    Work that was due for a minute, could be called, and has no reconciler is not worked on. A worker pulses
    once a second while its loops run and Redis answers; whether to restart one while Redis is away, HEALTH_FILE
    tells. Several workers on one host: give each a name (celery -A worker worker -n NAME@%h) and ask for it by
    --worker NAME@HOST.
    """
    _, client = open_ledger()
    views = Views(client)
    now_ms, silent = views.now_ms(), []
    for raw_name, raw in client.hgetall("nightly:workers").items():
        if is_meant(raw_name.decode(), worker or socket.gethostname()):
            silent.append((now_ms - json.loads(raw)["at"]) / 1000)
    if not silent:
        typer.echo("no worker of this host is known" if worker is None else "no worker of this name is known")
        raise typer.Exit(1)
    typer.echo(f"last pulse {max(min(silent), 0):.1f} s ago")
    if min(silent) > max_silence:
        raise typer.Exit(1)
    if waited := neglected_seconds(views.status()):
        typer.echo(f"work has been due for {waited:.0f} s and nobody works on it")
        raise typer.Exit(1)


def neglected_seconds(status: Mapping[str, Any]) -> float:
    """Return how long callable work has been due without any reconciler, 0 while that is no reason for worry."""
    callable_now = (
        about["oldest_due_seconds"]
        for about in status["instances"].values()
        if about["gate"]["state"] == "open" and not about["paused_seconds"]
    )
    longest = max(callable_now, default=0)
    return float(longest) if longest > NEGLECTED_SECONDS and not status["reconcilers"] else 0


def is_meant(name: str, wanted: str) -> bool:
    """Whether a worker's name (`celery@host#pid-start`) is the wanted one, or lies on the wanted host."""
    node = name.partition("#")[0]
    return wanted in {name, node, node.rpartition("@")[2]}
