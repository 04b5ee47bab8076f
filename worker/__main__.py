"""The entry point of `nightly` and `python -m worker`: all commands, plus those of `sandbox/` if it is installed."""

import importlib.util
import sys

from worker.cli import main as run_command
from worker.cli.commands import TRY, Entry, add

SANDBOX = {
    "demo": Entry("sandbox.demo.command:demo", TRY, "Run the whole product here, with a faulty Flinks."),
    "run": Entry("sandbox.run:run", TRY, "Run Redis, a worker and the review page here."),
    "emulator": Entry("sandbox.emulator.command:app", TRY, "Show the emulated Flinks of that run, and make it fail."),
}


def main() -> int:
    """Run the command line; returns the exit code or raises SystemExit with it."""
    if importlib.util.find_spec("sandbox"):  # the wheel and the production image leave it out
        for name, entry in SANDBOX.items():
            add(name, entry)
    return run_command()


if __name__ == "__main__":
    sys.exit(main())
