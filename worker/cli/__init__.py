"""The `nightly` command: runs it, and turns whatever goes wrong into one clear line and an exit code.

0: done. 1: found something wrong. 2: wrong usage or settings. Nobody sees a traceback for a wrong setting or
for a Redis that is away. Everything heavy is imported by the command that needs it.
"""


def main() -> int:
    """Run the command line; returns the exit code, or raises SystemExit with it."""
    from worker.cli.commands import app  # noqa: PLC0415 - `worker.cli` itself stays cheap to import

    try:
        app(prog_name="nightly")
    except Exception as error:  # noqa: BLE001 - the last place that can say it well
        from worker.cli.exit_codes import tell  # noqa: PLC0415 - see above

        return tell(error)
    return 0
