"""`transport`: the CPU that one call costs with each transport, over plain TCP and over TLS, on both event loops.

Each measurement is a process of its own with 64 calls in flight, one after another, so that only the client's CPU
counts. The transports take turns in each round.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contender_list import RIVALS_PYTHON, ROOT
from benchmarks.race import rotated
from benchmarks.stub import Stub
from benchmarks.tables import spread, table, verdict
from benchmarks.tls_stub import tls_stub

TRANSPORTS = ("ours", "ours unparsed", "no parser", "sockets alone", "httpx-aiohttp", "httpx")
LOOPS = ("uvloop", "asyncio")
TIMES_AIOHTTP, OF_UNPARSED = 4.0, 1.5


class Case(NamedTuple):
    """What is measured in one process."""

    transport: str
    loop: str
    scheme: str


Costs = Mapping[Case, Sequence[float]]
"""CPU microseconds a call, one for each round."""


def run(folder: Path, *, rounds: int = 5, seconds: float = 1) -> str:
    """Measure every transport on both loops, over TCP and over TLS."""
    with Stub(folder) as stub, tls_stub(folder) as (tls_url, certificate):
        urls = {"http": stub.url, "https": tls_url}
        cases = [Case(*case) for case in product(TRANSPORTS, LOOPS, urls)]
        costs: dict[Case, list[float]] = {case: [] for case in cases}
        for number in range(rounds):
            for case in rotated(cases, number):
                stub.reset()
                costs[case].append(_measured(case, urls[case.scheme], certificate, seconds))
    return report(costs)


def _measured(case: Case, url: str, certificate: Path, seconds: float) -> float:
    argv = [str(RIVALS_PYTHON), "-m", "benchmarks.contenders.transports", case.transport, case.loop, url, str(seconds)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(certificate)}
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603 - no shell
    calls, cpu_us = json.loads(done.stdout)
    return float(cpu_us / calls)


def report(costs: Costs) -> str:
    """Return the tables of costs and of ratios, and the verdicts."""
    columns = list(product(("http", "https"), LOOPS))
    headings = [f"{'TCP' if scheme == 'http' else 'TLS'}, {loop}" for scheme, loop in columns]
    rows = [[name, *(spread(costs[Case(name, loop, scheme)]) for scheme, loop in columns)] for name in TRANSPORTS]
    compared = (("ours", "ours unparsed"), ("ours", "no parser"), ("httpx-aiohttp", "ours"), ("httpx", "ours"))
    ratios = [
        [f"{dear} to {cheap}", *(spread(_ratios(costs, dear, cheap, *column), 2) for column in columns)]
        for dear, cheap in compared
    ]
    parts = [table(["CPU us a call", *headings], rows), table(["ratio within a round", *headings], ratios)]
    return "\n".join([*parts, _goals(costs)])


def _goals(costs: Costs) -> str:
    to_unparsed = median(_ratios(costs, "ours", "ours unparsed", "http", "uvloop"))
    ours = costs[Case("ours", "uvloop", "http")]
    theirs = zip(*(costs[Case("httpx-aiohttp", loop, "http")] for loop in LOOPS), strict=True)
    times = median(min(both) / cost for both, cost in zip(theirs, ours, strict=True))
    less = f"over TCP on uvloop, at least {TIMES_AIOHTTP:g} times less than httpx-aiohttp on its cheaper loop"
    near = f"over TCP on uvloop, at most {OF_UNPARSED:g} times the same without a parser"
    return "".join(
        (
            verdict(f"{less}: {times:.2f}", is_met=times >= TIMES_AIOHTTP),
            verdict(f"{near}: {to_unparsed:.2f}", is_met=to_unparsed <= OF_UNPARSED),
        )
    )


def _ratios(costs: Costs, dear: str, cheap: str, scheme: str, loop: str) -> list[float]:
    pairs = zip(costs[Case(dear, loop, scheme)], costs[Case(cheap, loop, scheme)], strict=True)
    return [ours / theirs for ours, theirs in pairs]
