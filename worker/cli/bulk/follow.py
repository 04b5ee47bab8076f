"""Follows a bulk job: prints its progress until every letter is decided, or until all calls have ended."""

import time
from collections.abc import Callable

from worker.backfill.job_feeder import decide_now
from worker.backfill.job_models import Job, JobStatus
from worker.cli.bulk.screen import line
from worker.cli.output import console
from worker.operations.bulk_progress import standstill
from worker.operations.message_rows import MessageRows
from worker.services import Services

LOOK_SECONDS = 0.5
LINE_SECONDS = 10.0
"""Interval between lines."""


def reason_of(services: Services, job: Job) -> str:
    """Return what a job waits for; empty if it makes progress."""
    gates = {name: services.views.gate(name) for name in job.open_instances}
    return standstill(job, services.views.status(), gates)


def is_decided(job: Job) -> bool:
    """Whether no more letters will be decided."""
    return job.decided == job.total or job.status in {JobStatus.CANCELLED, JobStatus.FINISHED}


def has_ended(job: Job) -> bool:
    """Whether every letter that was decided has ended, and no more will be decided."""
    return job.ended_at is not None


def follow(services: Services, job_id: str, *, until: Callable[[Job], bool], prints: bool) -> Job:
    """Print the progress of a job until then, or until it stands still; returns the job.

    This process decides letters, too, as workers do. Ctrl-C stops only the display, not the job: KeyboardInterrupt.
    """
    judge = MessageRows(
        services.ledger, services.letters, services.vault, services.intake, services.backfills.is_key_held
    )
    printed_at = time.monotonic()
    while True:
        decide_now(services.jobs, services.jobs.get(job_id), services.fingerprints, judge)
        job = services.jobs.get(job_id)
        if until(job) or reason_of(services, job):
            return job
        if prints and time.monotonic() - printed_at >= LINE_SECONDS:
            printed_at = time.monotonic()
            console().print(line(job), soft_wrap=True)
        time.sleep(LOOK_SECONDS)
