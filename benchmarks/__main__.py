"""The table of the benchmarks' commands: `python -m benchmarks COMMAND`, or `make bench ARGS="COMMAND ..."`."""

import inspect
import signal
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from benchmarks import backfill, growth, intake, latency, outage, review_pages, start, states, transport_cost
from benchmarks.race import race
from benchmarks.system import log_only_warnings
from benchmarks.tuning import tune


def in_a_folder(run: Callable[..., str]) -> Callable[..., None]:
    """Return a command with `run`'s options that calls it with a temporary folder and prints its report."""

    @wraps(run)
    def command(**sizes: Any) -> None:
        log_only_warnings()
        with TemporaryDirectory(prefix="nightly-benchmark-") as folder:
            print(run(Path(folder), **sizes))

    signature = inspect.signature(run)
    sizes = [size for name, size in signature.parameters.items() if name != "folder"]
    command.__signature__ = signature.replace(parameters=sizes, return_annotation=None)  # type: ignore[attr-defined] # what typer reads
    return command


COMMANDS: Mapping[str, Callable[..., None]] = {
    "race": race,
    "tune": tune,
    "transport": in_a_folder(transport_cost.run),
    **{
        module.__name__.rpartition(".")[2]: in_a_folder(module.run)
        for module in (latency, intake, growth, outage, start, states, backfill, review_pages)
    },
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)
for name, command in COMMANDS.items():
    app.command(name)(command)

if __name__ == "__main__":
    # The default handler would end this process without stopping its children.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
