"""A bulk job in words: what it would do, how far it is, and what it waits for. Does no I/O."""

from collections.abc import Iterator, Mapping
from typing import Any

from worker.backfill.job_models import Job, JobStatus, LetterOutcome, Preflight, Verb
from worker.operations.advice import gate_advice, gate_reason
from worker.words import span

VERBS: Mapping[Verb, str] = {
    Verb.REPLAY: "Replay",
    Verb.RESOLVE: "Resolve",
    Verb.NOTHING_LEFT: "Nothing left to switch off",
    Verb.ASSIGN: "Assign",
    Verb.SNOOZE: "Snooze",
}
CHANGES: Mapping[Verb, str] = {
    Verb.RESOLVE: "will be resolved",
    Verb.NOTHING_LEFT: "will be resolved",
    Verb.ASSIGN: "will be assigned",
    Verb.SNOOZE: "will be snoozed",
}


def title_of(job: Job) -> str:
    """Return the verb and the number of letters: `Replay 1,204 letters`."""
    return f"{VERBS[job.verb]}: {job.total:,} {'letter' if job.total == 1 else 'letters'}"


def outcomes(counts: Mapping[str, int]) -> str:
    """Return the number of letters for each outcome, in one line."""
    return ", ".join(f"{counts[each]:,} {each.value.replace('_', ' ')}" for each in LetterOutcome if counts.get(each))


def sentence_of(preflight: Preflight) -> str:
    """Return what a job would do now, in one sentence, and how long its calls take."""
    text = ", ".join(_parts(preflight)) or "nothing will be done"
    if not preflight.calls:
        return f"{text}."
    pace = f"{preflight.calls_per_second:g} calls/s"
    closed = f"; first the gate of {' and '.join(preflight.closed_gates)} must open" if preflight.closed_gates else ""
    return f"{text}; about {span(max(1, preflight.seconds))} at {pace}{closed}."


def _parts(found: Preflight) -> Iterator[str]:
    counts = (
        (found.called, "will be called"),
        (found.already_as_wished, "will be called again, though as wished before"),
        (found.accepted_again, "messages will be accepted again, if they are valid by now"),
        (found.changed, CHANGES.get(found.verb, "will be changed")),
        (found.superseded, "are superseded by a newer event"),
        (found.in_flight, "are being called right now for a newer event"),
        (found.closed, "are closed already"),
        (found.not_applicable, "are left as they are, as this is not for them"),
    )
    yield from (f"{count:,} {words}" for count, words in counts if count)


def standstill(job: Job, status: Mapping[str, Any], gates: Mapping[str, Mapping[str, Any]]) -> str:
    """Return why a job makes no progress, and what to do; empty if it does, or has ended.

    `gates` has the gate of each instance in `Job.open_instances`.
    """
    if job.ended_at or job.status is JobStatus.FINISHED:
        return ""
    if job.status is JobStatus.PREPARED:
        return f"It waits for its start: nightly bulk run {job.id}"
    if job.status is JobStatus.PAUSED:
        return f"It is paused. Continue: nightly bulk resume {job.id}"
    if not status["workers"]:
        return "No worker is alive. Start one: celery -A worker worker"
    closed = [(name, gate) for name, gate in gates.items() if gate["state"] != "open"]
    return " ".join(
        f"The gate of {name} is closed, so no call is made. {gate_reason(gate)}. {gate_advice(name, gate)}"
        for name, gate in closed
    )
