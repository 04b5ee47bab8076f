"""Runs the long tests and writes a report: `python -m tests.chaos [NAME ...] [--seed S] [--SIZE N ...]`.

Exit code 0: every promise held. 1: something broke. 2: the command was wrong.
"""

import argparse
import inspect
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.stack.redis_binary import CHOICE, find_redis_binary
from tests.chaos.report import Report
from tests.chaos.scenarios import SCENARIOS
from worker.cli.shell import INTERRUPTED, told_to_stop
from worker.errors import EmbeddedStackError
from worker.telemetry.logs import configure_logging

REPORT = Path(".nightly/prove-report.md")
Scenario = Callable[..., Report]


def tell(line: str) -> None:
    """Print one line."""
    print(line, flush=True)  # noqa: T201 - a command's output


def sizes_of(scenario: Scenario) -> dict[str, inspect.Parameter]:
    """The sizes of a scenario, by name."""
    ours = {"folder", "seed", "say"}
    return {name: each for name, each in inspect.signature(scenario).parameters.items() if name not in ours}


def parser(scenarios: Mapping[str, Scenario]) -> argparse.ArgumentParser:
    """Build the command line: one option for each size of each scenario."""
    options = argparse.ArgumentParser("python -m tests.chaos", description="Runs scenarios at full size.")
    add = options.add_argument
    add("names", nargs="*", metavar="NAME", help=f"what to prove, all unless named: {', '.join(scenarios)}")
    add("--seed", type=int, help="of everything that is drawn; a new one unless given")
    add("--report", type=Path, default=REPORT, help=f"where the report is written ({REPORT})")
    add("--server", type=Path, metavar="PATH", help="the Valkey or Redis binary that every scenario starts")
    owners: dict[str, list[str]] = {}
    kinds: dict[str, Callable[[str], object]] = {}
    for name, scenario in scenarios.items():
        for size, parameter in sizes_of(scenario).items():
            owners.setdefault(size, []).append(name)
            kinds[size] = type(parameter.default) if parameter.default is not inspect.Parameter.empty else int
    for size, names in owners.items():
        add(f"--{size.replace('_', '-')}", type=kinds[size], default=argparse.SUPPRESS, help=f"of {', '.join(names)}")
    return options


def chosen(options: argparse.ArgumentParser, given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the sizes given for each scenario to run; exits with code 2 on an unknown name or size."""
    unknown = [name for name in given.names if name not in SCENARIOS]
    if unknown:
        options.error(f"no scenario is called {', '.join(unknown)}; the scenarios are {', '.join(SCENARIOS)}")
    names = given.names or list(SCENARIOS)
    sizes = {size: value for size, value in vars(given).items() if size not in {"names", "seed", "report", "server"}}
    for size in sizes:
        if not any(size in sizes_of(SCENARIOS[name]) for name in names):
            options.error(f"--{size.replace('_', '-')} is no size of {', '.join(names)}")
    return {name: {size: sizes[size] for size in sizes_of(SCENARIOS[name]) if size in sizes} for name in names}


def prove(name: str, sizes: Mapping[str, Any], seed: int) -> Report:
    """Run one scenario in a folder of its own, which is kept if something broke; an exception counts as broken."""
    started_at = time.monotonic()

    def say(line: str) -> None:
        tell(f"[{name} {time.monotonic() - started_at:6.1f} s] {line}")

    folder = Path(tempfile.mkdtemp(prefix=f"nightly-prove-{name}-"))
    say(f"begins, seed {seed}")
    try:
        report = SCENARIOS[name](folder, **sizes, seed=seed, say=say)
    except Exception as error:  # noqa: BLE001 - the other scenarios still run
        traceback.print_exc()
        report = Report(name, {**sizes, "seed": seed}, broken=[f"it ended with {type(error).__name__}: {error}"])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    report.figures["server"] = find_redis_binary()
    report.figures["took"] = f"{time.monotonic() - started_at:.0f} s"
    if report.broken:
        report.figures["logs and data"] = folder
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def markdown(reports: Sequence[Report]) -> str:
    """Return the report of the whole run."""
    held = sum(not report.broken for report in reports)
    lines = ["# Results", "", f"{held} of {len(reports)} scenarios held."]
    for report in reports:
        lines += ["", f"## {report.title}", "", "```", report.text(), "```"]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested scenarios one after the other; the report is written after each."""
    options = parser(SCENARIOS)
    given = options.parse_args(arguments)
    scenarios = chosen(options, given)
    if given.server:
        os.environ[CHOICE] = str(given.server.absolute())
    try:
        tell(f"Server: {find_redis_binary()}")
    except EmbeddedStackError as error:
        options.error(str(error))
    configure_logging(log_format="console", log_level="ERROR")
    reports: list[Report] = []
    for name, sizes in scenarios.items():
        seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
        reports.append(prove(name, sizes, seed))
        tell(reports[-1].text())
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(markdown(reports))
    tell(f"The report is in {given.report}")
    return int(any(report.broken for report in reports))


if __name__ == "__main__":
    with told_to_stop():
        try:
            sys.exit(main())
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
