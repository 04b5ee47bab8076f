"""`nightly health`: one bit for a container's health check, whether this machine's worker still pulses."""

import json
import socket
from typing import Annotated

import typer

from worker.cli.opening import open_ledger
from worker.ledger.views import Views


def health(
    *,
    max_silence: Annotated[float, typer.Option(help="Seconds since the last pulse.", min=1, max=60)] = 15,
    worker: Annotated[str | None, typer.Option(help="A worker's name. [any of this host]")] = None,
) -> None:
    """Exit 0 when this machine's worker pulsed lately, else 1. Needs REDIS_URL alone.

    A worker pulses once a second while its loops run and Redis answers. Several workers on one host: give
    each a name (celery -A worker worker -n NAME@%h) and ask for it by --worker NAME@HOST.
    """
    _, client = open_ledger()
    now_ms, silent = Views(client).now_ms(), []
    for raw_name, raw in client.hgetall("nightly:workers").items():
        if is_meant(raw_name.decode(), worker or socket.gethostname()):
            silent.append((now_ms - json.loads(raw)["at"]) / 1000)
    if not silent:
        typer.echo("no worker of this host is known" if worker is None else "no worker of this name is known")
        raise typer.Exit(1)
    typer.echo(f"last pulse {max(min(silent), 0):.1f} s ago")
    if min(silent) > max_silence:
        raise typer.Exit(1)


def is_meant(name: str, wanted: str) -> bool:
    """Whether a worker's name (`celery@host#pid`) is the wanted one, or lies on the wanted host."""
    node = name.partition("#")[0]
    return wanted in {name, node, node.rpartition("@")[2]}
