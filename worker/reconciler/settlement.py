"""Turns what a call meant into what the ledger is told: the last decision before a settlement.

Here a failure becomes a waiting time, or a dead letter when patience ends. Does no I/O; time and chance
are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.flinks.outcome import Outcome, Verdict
from worker.ledger.attempts import attempt_text
from worker.ledger.models import Claim, Settlement
from worker.reconciler.retry_policy import Exhausted, RetryLimits, decide

DISTRUST_SECONDS = 1.0
"""A halted login comes back this much later: its gate is shut by then, and opens when it may be called."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it went: by Redis' clock when, for how long, and by whom."""

    claim: Claim
    claimed_at_ms: int
    seconds: float
    worker: str


def settlement_of(call: Call, verdict: Verdict, limits: RetryLimits, random: Callable[[], float]) -> Settlement:
    """Return what to settle for a call that was made. A success is an entry of the history only where one is kept."""
    claim = call.claim
    is_told = claim.has_history or verdict.outcome is not Outcome.APPLIED
    if not is_told and verdict.is_confirmed:  # nearly every call: what follows would say the same of it
        return Settlement(claim, "applied", code=verdict.code, http_status=verdict.http_status)
    signs = {
        "a": verdict.is_ambiguous,
        "d": verdict.is_down,
        "h": verdict.is_unreachable,
        "u": not verdict.is_confirmed,
    }
    outcome, code, message, delay = str(verdict.outcome), verdict.code, verdict.message, 0.0
    if verdict.outcome is Outcome.HALT:
        delay = DISTRUST_SECONDS
    elif verdict.outcome in {Outcome.TRANSIENT, Outcome.THROTTLED}:
        decision = decide(
            verdict,
            attempts=call.claim.failures + 1,
            waiting_seconds=_waiting_seconds(call),
            limits=limits,
            random=random,
        )
        if isinstance(decision, Exhausted):
            outcome, code = str(Outcome.DEAD), "retries_exhausted"
            message = f"last answer {verdict.code}: {verdict.message}" if verdict.message else f"last: {verdict.code}"
        else:
            delay = decision.delay_seconds
    return Settlement(
        claim=call.claim,
        outcome=outcome,
        delay_seconds=delay,
        rest_seconds=limits.settle_seconds if verdict.is_ambiguous else 0,
        code=code,
        http_status=verdict.http_status,
        message=message,
        attempt=_attempt(call, verdict) if is_told else "",
        retry_after_seconds=verdict.retry_after_seconds or 0,
        flags="".join(flag for flag, is_set in signs.items() if is_set),
    )


def unsent(claim: Claim) -> Settlement:
    """Return what to settle for a claim whose call was never made: no attempt, due again at once."""
    return Settlement(claim=claim, outcome="unsent", code="unsent")


def _waiting_seconds(call: Call) -> float:
    first = call.claim.first_failure_ms
    return 0.0 if first is None else max(0.0, (call.claimed_at_ms - first) / 1000)


def _attempt(call: Call, verdict: Verdict) -> str:
    return attempt_text(
        at=call.claimed_at_ms,
        revision=call.claim.revision,
        wish=call.claim.wants_active,
        seconds=round(call.seconds, 3),
        outcome=str(verdict.outcome),
        code=verdict.code,
        worker=call.worker,
        http_status=verdict.http_status,
        flinks_code=verdict.flinks_code if verdict.flinks_code != verdict.code else None,
        message=verdict.message,
    )
