"""Runs the `nightly` command (commands.py lists all), and turns an error into one line and an exit code.

Exit codes: 0 done, 1 found something wrong, 2 wrong usage or settings. Heavy modules are imported only by the commands
that need them.
"""


def main() -> int:
    """Run the command line; returns the exit code, or raises SystemExit with it."""
    from worker.cli.commands import app  # noqa: PLC0415 - `worker.cli` itself stays cheap to import

    try:
        return int(app(prog_name="nightly", standalone_mode=False) or 0)
    except Exception as error:  # noqa: BLE001 - the last place to print one line instead of a traceback
        from worker.cli.exit_codes import print_error  # noqa: PLC0415 - see above

        return print_error(error)
