"""Builds the settlement of a call from its verdict; the ledger's `settle_and_claim` script then applies it.

`retry_policy.py` turns a failure into a wait, or into a dead letter when its attempts are exhausted.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.flinks.outcome import Outcome, Verdict
from worker.ledger.history import attempt_text
from worker.ledger.models import Claim, Settled, Settlement
from worker.reconciler.retry_policy import Exhausted, RetryLimits, decide

DISTRUST_SECONDS = 1.0
"""Delay of a halted login. The gate is shut by then and decides when the login may be called."""


@dataclass(slots=True)  # constant, as the ledger's models
class Call:
    """One finished call: its claim, when it was claimed by Redis' clock, its duration and its worker."""

    claim: Claim
    claimed_at_ms: int
    seconds: float
    worker: str


def settlement_of(call: Call, verdict: Verdict, limits: RetryLimits, random: Callable[[], float]) -> Settlement:
    """Return the settlement of a call that was made. A success is recorded as an attempt only beside earlier ones."""
    claim = call.claim
    has_attempt = claim.has_history or verdict.outcome is not Outcome.APPLIED
    if not has_attempt and verdict.is_confirmed:  # nearly every call; the code below would return the same
        return Settlement(claim, "applied", code=verdict.code, http_status=verdict.http_status, seconds=call.seconds)
    flags = {
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
        attempt=_attempt(call, verdict) if has_attempt else "",
        retry_after_seconds=verdict.retry_after_seconds or 0,
        seconds=call.seconds,
        flags="".join(flag for flag, is_set in flags.items() if is_set),
    )


def unsent(claim: Claim) -> Settlement:
    """Return the settlement of a claim whose call was never made: no attempt is charged, the login is due at once."""
    return Settlement(claim=claim, outcome="unsent", code="unsent")


def log_fields(instance: str, item: Settlement, result: Settled) -> dict[str, object]:
    """Return what the log says about a settled call."""
    claim = item.claim
    fields: dict[str, object] = {
        "event_id": claim.event_id,
        "login": claim.reference,
        "account_id": claim.account_id,
        "instance": instance,
        "wish": "on" if claim.wants_active else "off",
        "attempt": claim.failures + 1,
        "outcome": item.outcome,
        "code": item.code,
        "http_status": item.http_status,
        "call_ms": round(item.seconds * 1000),
        "result": result.value,
    }
    if item.delay_seconds:
        fields["delay_seconds"] = round(item.delay_seconds, 1)
    return fields


def _waiting_seconds(call: Call) -> float:
    first = call.claim.first_failure_ms
    return 0.0 if first is None else max(0.0, (call.claimed_at_ms - first) / 1000)


def _attempt(call: Call, verdict: Verdict) -> str:
    return attempt_text(
        at=call.claimed_at_ms,
        revision=call.claim.revision,
        wish=int(call.claim.wants_active),
        seconds=call.seconds,
        outcome=str(verdict.outcome),
        code=verdict.code,
        worker=call.worker,
        http_status=verdict.http_status,
        flinks_code=verdict.flinks_code if verdict.flinks_code != verdict.code else None,
        message=verdict.message,
    )
