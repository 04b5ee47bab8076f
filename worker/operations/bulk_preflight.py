"""Puts the counts of a bulk job's letters together with the rates and gates of their instances."""

from collections import Counter

from worker.backfill.job_models import CONFIRM_ABOVE, Job, Preflight
from worker.ledger.queries import Views

_CALLED, _CONFIRMED = "called:", "confirmed:"
_SAME = ("in_flight", "superseded", "accepted_again", "closed", "changed", "not_applicable")


def preflight_of(job: Job, counts: Counter[str], views: Views, calls_per_second: float) -> Preflight:
    """Return the preflight of a job from the counts of bulk_preflight.lua."""
    calls: Counter[str] = Counter()
    for name, times in counts.items():
        if name.startswith((_CALLED, _CONFIRMED)):
            calls[name.partition(":")[2]] += times
    rates = {instance: _rate(job, views, instance, calls_per_second) for instance in calls}
    slowest = max(calls, key=lambda instance: calls[instance] / rates[instance], default=None)
    return Preflight(
        job_id=job.id,
        verb=job.verb,
        total=job.total,
        called=_sum(counts, _CALLED),
        already_as_wished=_sum(counts, _CONFIRMED),
        seconds=calls[slowest] / rates[slowest] if slowest is not None else 0.0,
        calls_per_second=rates[slowest] if slowest is not None else None,
        closed_gates=tuple(sorted(name for name in calls if views.gate(name)["state"] != "open")),
        must_type=job.total if job.total > CONFIRM_ABOVE else 0,
        **{name: counts[name] for name in _SAME},
    )


def _rate(job: Job, views: Views, instance: str, calls_per_second: float) -> float:
    """Return the present rate of an instance in calls a second, or the job's own rate if that is lower."""
    current = views.rate(instance) or calls_per_second
    return min(current, job.rate) if job.rate else current


def _sum(counts: Counter[str], prefix: str) -> int:
    return sum(times for name, times in counts.items() if name.startswith(prefix))
