"""Puts the counts of a bulk job's letters together with the rates and gates of their instances."""

from collections import Counter

from worker.backfill.job_models import CONFIRM_ABOVE, Job, Preflight
from worker.ledger.queries import Views

_CALLED, _CONFIRMED = "called:", "confirmed:"
_SAME = ("in_flight", "superseded", "accepted_again", "closed", "changed", "not_applicable")


def preflight_of(job: Job, views: Views, calls_per_second: float) -> Preflight:
    """Return the preflight of a job from its counts."""
    counts, calls = Counter(job.foreseen), Counter[str]()
    for name, times in counts.items():
        if name.startswith((_CALLED, _CONFIRMED)):
            calls[name.partition(":")[2]] += times
    rates = {instance: views.rate(instance) or calls_per_second for instance in calls}
    slowest = max(calls, key=lambda instance: calls[instance] / rates[instance], default=None)
    return Preflight(
        job_id=job.id,
        verb=job.verb,
        total=job.total,
        counted_at=job.counted_at,
        called=_sum(counts, _CALLED),
        already_as_wished=_sum(counts, _CONFIRMED),
        seconds=calls[slowest] / rates[slowest] if slowest is not None else 0.0,
        calls_per_second=rates[slowest] if slowest is not None else None,
        closed_gates=tuple(sorted(name for name in calls if views.gate(name)["state"] != "open")),
        must_type=job.total if job.total > CONFIRM_ABOVE else 0,
        **{name: counts[name] for name in _SAME},
    )


def _sum(counts: Counter[str], prefix: str) -> int:
    return sum(times for name, times in counts.items() if name.startswith(prefix))
