"""The table of the benchmarks' commands: `python -m benchmarks COMMAND`, or `make bench ARGS="COMMAND ..."`."""

import signal
from collections.abc import Callable, Mapping

import typer

from benchmarks.race import race
from benchmarks.tuning import tune

COMMANDS: Mapping[str, Callable[..., None]] = {"race": race, "tune": tune}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)
for name, command in COMMANDS.items():
    app.command(name)(command)

if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # or what was started would only be killed, not cleared away
    app()
