"""Runs one benchmark by itself: reads its sizes, gives it a folder that is deleted afterwards, prints its report."""

import argparse
import signal
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


def run_alone(about: str | None, add_arguments: Callable[[argparse.ArgumentParser], None]) -> None:
    """Parse the command line with a benchmark's own arguments, which say what to run, and run it."""
    parser = argparse.ArgumentParser(description=about)
    add_arguments(parser)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or what was started would be left to its guards
    with TemporaryDirectory(prefix="nightly-benchmark-") as folder:
        print(given.run(Path(folder), given))
