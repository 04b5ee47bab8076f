"""Fills and drains ledgers: takes in events for any number of logins, and settles them without making the calls.

Both use the public functions of intake and ledger, in several processes, so that a million logins take minutes.
"""

import asyncio
import multiprocessing
import multiprocessing.pool
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from benchmarks.system import INSTANCE, System, log_only_warnings
from worker.config.settings import Settings
from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Claim, Settlement
from worker.reconciler.retry_policy import RetryLimits
from worker.reconciler.settlement import Call, settlement_of
from worker.services import Services, build_services

PROCESSES = 2
PORTION = 5_000
ENTRY = 100
CLAIMED_AT_ONCE = 250
WITHIN_SECONDS = 900.0
_LIMITS = RetryLimits(max_attempts=20, max_age_seconds=86_400, settle_seconds=20)
_OWNER, _WORKER = str(uuid4()), "celery@ip-10-0-0-1.example.internal"
"""As long as real ones: each login in flight stores its owner, and each attempt its worker."""
CONFIRMED = Verdict(Outcome.APPLIED, "applied", 200)
BUSY = Verdict(Outcome.TRANSIENT, "RETRY_LATER", 401, flinks_code="RETRY_LATER")


def fill(system: System, logins: int) -> float:
    """Parse, seal and record events of `logins` new logins; returns the seconds."""
    began, before = time.monotonic(), system.due()
    portions = [min(PORTION, logins - at) for at in range(0, logins, PORTION)]
    with _pool(system) as pool:
        pool.map_async(_take_in, portions, chunksize=1).get(WITHIN_SECONDS)
    if (made := system.due() - before) != logins:
        raise AssertionError(f"{made} of {logins} logins became due")
    return time.monotonic() - began


def drain(system: System, *, leave: int = 0) -> float:
    """Claim all due logins but `leave` and settle them as confirmed; returns the seconds."""
    began = time.monotonic()
    share = (system.due() - leave) // PROCESSES
    with _pool(system) as pool:
        pool.map_async(_confirm, [share] * PROCESSES, chunksize=1).get(WITHIN_SECONDS)
    work_off(system.services, system.due() - leave, CONFIRMED)
    if system.due() > leave:
        raise AssertionError(f"{system.due()} logins are still due")
    return time.monotonic() - began


def fail(system: System, logins: int) -> float:
    """Claim `logins` due logins and settle them as transient failures; returns the seconds."""
    at_leisure(system, 1)  # without a confirmed call, an unproven configuration gets one call at a time
    began = time.monotonic()
    with _pool(system) as pool:
        pool.map_async(_fail, [logins // PROCESSES] * PROCESSES, chunksize=1).get(WITHIN_SECONDS)
    return time.monotonic() - began


def at_leisure(system: System, logins: int, *, at_once: int = 20) -> None:
    """Record and confirm `logins` new logins with at most `at_once` due at a time: a ledger without a backlog."""
    for at in range(0, logins, at_once):
        count = min(at_once, logins - at)
        system.services.intake.accept_bodies(list(bodies(count)))
        work_off(system.services, count, CONFIRMED)


def bodies(count: int) -> Iterator[bytes]:
    """Return `count` events of new logins, as `worker.publish` writes them."""
    now = datetime.now(UTC).isoformat()
    for _ in range(count):
        head = f'{{"specversion":"1.0","id":"{uuid4()}","source":"nightly","type":"account.linked","time":"{now}"'
        yield f'{head},"datacontenttype":"application/json","data":{{"loginId":"{uuid4()}"}}}}'.encode()


def turn(services: Services, claims: Sequence[Claim], at_most: int, verdict: Verdict = CONFIRMED) -> list[Claim]:
    """Settle claims with `verdict`, and claim further logins with practically no limits."""
    call = services.ledger.settle_and_claim(
        INSTANCE,
        [_settlement(claim, verdict) for claim in claims],
        at_most=at_most,
        owner=_OWNER,
        worker=_WORKER,
        lease_seconds=60,
        settle_seconds=20,
        calls_per_second=1_000_000,
        max_in_flight=1_000_000,
        fingerprint=services.fingerprints[INSTANCE],
    )
    _, reply = asyncio.run(call)
    return reply.claims


def _settlement(claim: Claim, verdict: Verdict) -> Settlement:
    """Return the settlement as a dispatcher does; the claim's number serves as its time."""
    return settlement_of(Call(claim, claim.number, 0.05, _WORKER), verdict, _LIMITS, random.random)


def work_off(services: Services, count: int, verdict: Verdict) -> None:
    """Claim `count` due logins, and settle them with `verdict`."""
    deadline = time.monotonic() + WITHIN_SECONDS
    claims: list[Claim] = []
    while (count > 0 or claims) and time.monotonic() < deadline:
        claims = turn(services, claims, min(count, CLAIMED_AT_ONCE), verdict)
        count -= len(claims)


# The functions that the pool's processes run. Each process builds its own services once.
_services: list[Services] = []


def _pool(system: System) -> multiprocessing.pool.Pool:
    context = multiprocessing.get_context("spawn")
    return context.Pool(PROCESSES, initializer=_begin, initargs=(system.stack.settings(),))


def _begin(settings: Settings) -> None:
    log_only_warnings()
    _services.append(build_services(settings, name="benchmark"))


def _take_in(count: int) -> None:
    for at in range(0, count, ENTRY):
        _services[0].intake.accept_bodies(list(bodies(min(ENTRY, count - at))))


def _confirm(count: int) -> None:
    work_off(_services[0], count, CONFIRMED)


def _fail(count: int) -> None:
    work_off(_services[0], count, BUSY)
