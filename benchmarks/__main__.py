"""The table of the benchmarks' commands: `python -m benchmarks COMMAND`, or `make bench ARGS="COMMAND ..."`."""

import typer

from benchmarks.race import race

COMMANDS = {"race": race}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)
app.callback()(lambda: None)  # or the only command would be no command
for name, command in COMMANDS.items():
    app.command(name)(command)

if __name__ == "__main__":
    app()
