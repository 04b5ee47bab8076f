"""No HTTP client may crash a process, get a 500 or make it grow.

Attacks a real `nightly review` (page and `POST /events`) and the metrics endpoint of a worker with requests that
schemathesis makes from docs/openapi.yaml, valid ones cut at every position or with mistakes in them, and noise.
After each round all clients disconnect, and memory, threads and open files are sampled. The first round only warms
up.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sandbox.stack import EmbeddedStack, ManagedProcess
from sandbox.stack.ports import free_port
from sandbox.stack.readiness import listening_url
from tests.brief_stack import BriefStack
from tests.chaos.flatness import Sample, growth, sample_at_rest
from tests.chaos.http_clients import Address, Seen, attack
from tests.chaos.http_inputs import PASSWORD, USER, Input, cuts, metrics_requests, mistaken, page_requests
from tests.chaos.http_schema import FromSchema
from tests.chaos.report import Report, Say
from tests.http_contract import LOGIN_KEY, VAULT
from tests.http_events import SECRET
from worker.redis_client.connect import connect
from worker.web.review.cookies import SESSION
from worker.web.review.forgery import token_for
from worker.web.review.identity import Person
from worker.web.review.passwords import hash_password
from worker.web.review.ways_in import build_access

ROUND_SECONDS = 30.0
ROUNDS_AT_LEAST = 5
"""One round to warm up, and enough samples for a first and a last third."""
REVIEW = [sys.executable, "-m", "worker", "review", "--port", "0"]


class Hostile:
    """Yields inputs one after the other: the next cut of a valid request, or one with mistakes."""

    def __init__(self, make: Callable[[], list[bytes]], seed: int) -> None:
        self._make, self._seed, self._chance = make, seed, random.Random(seed)
        self._turn = self.cut = self.cuts = 0
        self._requests: list[bytes] = []
        self._cuts: list[Input] = []

    def renew(self) -> None:
        """Sign again, because a signature is valid for five minutes; the order of the cuts stays."""
        self._requests = self._make()
        self._cuts = [one for request in self._requests for one in cuts(request)]
        self.cuts = len(self._cuts)
        random.Random(self._seed).shuffle(self._cuts)

    def __call__(self) -> Input:
        """Return the next input."""
        self._turn += 1
        if self._turn % 2:
            return mistaken(self._requests, self._chance)
        self.cut += 1
        return self._cuts[self.cut % self.cuts]


@dataclass
class Target:
    """One process under attack."""

    name: str
    process: ManagedProcess
    address: Address
    hostile: Hostile
    sound_path: str
    seen: Seen = field(default_factory=Seen)
    samples: list[Sample] = field(default_factory=list)


def fuzz_http(folder: Path, *, seconds: float = 600, seed: int, say: Say) -> Report:
    """Attack for `seconds`, in rounds of 30 s, or shorter ones to have at least five."""
    report = Report("HTTP from hostile clients", {"seconds": seconds, "seed": seed})
    settings = {
        "LOGIN_KEYS": LOGIN_KEY,
        "SEAL_TO": str(VAULT.public_keys[0]),
        "HTTP_EVENTS_SECRETS": f"crm={SECRET}",
        "HTTP_EVENTS_PER_SECOND": "100000",
        "REVIEW_USERS": f"{USER}:admin:{hash_password(PASSWORD)}",
        "METRICS_PORT": str(free_port()),
        "LOG_FORMAT": "json",
    }
    with BriefStack(folder, isolated=True, overrides=settings) as stack:
        targets = _targets(stack, seed)
        from_schema = FromSchema("http://{}:{}".format(*targets[0].address), seed)
        _go_on(targets, from_schema, seconds, say)
        _judge(targets, from_schema, report)
    return report


def _targets(stack: EmbeddedStack, seed: int) -> list[Target]:
    (worker,) = stack.workers
    lines = (line for line in worker.output().splitlines() if "metrics_listening" in line)
    port = int(json.loads(next(lines))["port"])
    page = stack.start_process("review", REVIEW, ready=listening_url)
    host, _, page_port = str(listening_url(page)).removeprefix("http://").partition(":")
    return [
        Target(
            "page", page, (host, int(page_port)), Hostile(partial(page_requests, *_sign_in(stack)), seed), "/health"
        ),
        Target("worker", worker, (host, port), Hostile(metrics_requests, seed), "/metrics"),
    ]


def _sign_in(stack: EmbeddedStack) -> tuple[str, str]:
    """Return the cookie of a person who has signed in, and the token of their forms."""
    settings = stack.settings()
    with connect(settings.redis_address(), name="fuzz") as client:
        access = build_access(client, settings)
        user = access.users[USER]
        session_id = access.open_session(Person(user.name, user.role), user.entry)
    return f"{SESSION}={access.signing.sign(SESSION, session_id)}", token_for(access.signing, session_id)


def _go_on(targets: list[Target], from_schema: FromSchema, seconds: float, say: Say) -> None:
    rounds = max(ROUNDS_AT_LEAST, round(seconds / ROUND_SECONDS))
    for number in range(rounds):
        _one_round(targets, from_schema, seconds / rounds)
        for target in targets:
            if target.process.is_running:
                target.samples.append(sample_at_rest(target.process.pid))
                say(f"round {number + 1}/{rounds}: {target.seen.sent:,} inputs; {target.name}: {target.samples[-1]}")


def _one_round(targets: list[Target], from_schema: FromSchema, seconds: float) -> None:
    is_over = threading.Event()
    threads = []
    for target in targets:
        target.hostile.renew()
        arguments = (target.address, target.hostile, target.seen, is_over)
        threads.append(threading.Thread(target=attack, args=arguments))
        threads[-1].start()
    try:
        from_schema.send_until(time.monotonic() + seconds)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _judge(targets: list[Target], from_schema: FromSchema, report: Report) -> None:
    report.figures["made by schemathesis"] = {kind: dict(seen) for kind, seen in from_schema.statuses.items()}
    report.broken += from_schema.wrong
    for kind, seen in from_schema.statuses.items():
        report.expect(seen, f"schemathesis sent nothing of the kind {kind}")
    for target in targets:
        _judge_one(target, report)


def _judge_one(target: Target, report: Report) -> None:
    name, seen, hostile = target.name, target.seen, target.hostile
    report.figures[f"{name}: sent"] = f"{seen.sent:,}; {min(hostile.cut, hostile.cuts):,} of {hostile.cuts:,} cuts"
    report.figures[f"{name}: answers"] = dict(sorted(seen.statuses.items()))
    for label, at in (("warmed up", 0), ("half-way", len(target.samples) // 2), ("at the end", -1)):
        if target.samples:
            report.figures[f"{name}: {label}"] = target.samples[at]
    report.expect(target.process.is_running, f"{name}: it ended with {target.process.exit_code}")
    report.broken += [f"{name}: {what}, after {sent!r:.300}" for what, sent in seen.wrong.items()]
    report.expect(seen.statuses[200], f"{name}: no request was answered, so nothing was proved")
    report.broken += [f"{name}: {line}" for line in growth(target.samples[1:])]
    report.expect(
        "Traceback" not in target.process.log_path.read_text(errors="replace"), f"{name}: its log has a traceback"
    )
    if target.process.is_running:
        report.expect(_is_served(target), f"{name}: it no longer answers a valid request")


def _is_served(target: Target) -> bool:
    with closing(http.client.HTTPConnection(*target.address, timeout=20)) as client:
        client.request("GET", target.sound_path)
        return client.getresponse().status == 200
