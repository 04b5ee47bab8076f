"""The words of a bulk job: what it would do, what it waits for, and its report."""

from dataclasses import replace
from typing import Any

import pytest

from worker.backfill.job_models import Job, JobStatus, LetterOutcome, LetterResult, Preflight, Segment, Verb
from worker.operations.bulk_progress import outcomes, sentence_of, standstill, title_of
from worker.operations.bulk_report import csv_lines, documents, json_lines

JOB = Job("job-1", Verb.REPLAY, JobStatus.RUNNING, "ann", "12 letters", 1204, 3)
JOB = replace(JOB, segments=(Segment(0, 0, 1000, "toolbox", 3), Segment(1, 1000, 1204, "", 1000)))
ALIVE = {"workers": [{"name": "w"}]}
OPEN: dict[str, Any] = {"state": "open"}
CLOSED = {"state": "closed", "cause": "operator", "by": "bob", "detail": "maintenance", "needs_action": True}


def test_a_preflight_is_one_sentence() -> None:
    found = Preflight(
        "job-1", Verb.REPLAY, 1204, called=1131, superseded=52, closed=14, in_flight=7, seconds=239,
        calls_per_second=5, closed_gates=("toolbox",),
    )  # fmt: skip
    assert sentence_of(found) == (
        "1,131 will be called, 52 are superseded by a newer event, 7 are being called right now for a newer event, "
        "14 are closed already; about 4 min at 5 calls/s; first the gate of toolbox must open."
    )
    assert sentence_of(Preflight("job-1", Verb.ASSIGN, 2, changed=2)) == "2 will be assigned."
    assert sentence_of(Preflight("job-1", Verb.REPLAY, 2)) == "nothing will be done."


@pytest.mark.parametrize(
    ("changes", "status", "gate", "words"),
    [
        ({"status": JobStatus.PREPARED}, ALIVE, OPEN, "It waits for its start: nightly bulk run job-1"),
        ({"status": JobStatus.PAUSED}, ALIVE, OPEN, "It is paused. Continue: nightly bulk resume job-1"),
        ({}, {"workers": []}, OPEN, "No worker is alive. Start one: celery -A worker worker"),
        ({}, ALIVE, CLOSED, "The gate of toolbox is closed, so no call is made."),
        ({}, ALIVE, OPEN, ""),
        ({"status": JobStatus.FINISHED}, {"workers": []}, CLOSED, ""),
        ({"status": JobStatus.CANCELLED, "ended_at": 5}, {"workers": []}, CLOSED, ""),
    ],
)
def test_a_job_says_what_it_waits_for(changes: Any, status: Any, gate: Any, words: str) -> None:
    job = replace(JOB, **changes)
    gates = dict.fromkeys(job.open_instances, gate)
    assert standstill(job, status, gates).startswith(words) if words else standstill(job, status, gates) == ""


def test_only_a_replay_needs_the_gate_of_an_instance() -> None:
    assert (JOB.open_instances, replace(JOB, verb=Verb.RESOLVE).open_instances) == (["toolbox"], [])
    assert (title_of(JOB), title_of(replace(JOB, total=1))) == ("Replay: 1,204 letters", "Replay: 1 letter")
    assert outcomes({"applied": 3, "dead": 0, "not_applicable": 1000}) == "3 applied, 1,000 not applicable"


def test_a_report_has_no_formula_and_nothing_unprintable() -> None:
    nasty = LetterResult("dl-1", LetterOutcome.CLOSED, closed_by='=cmd|"x"\u202e,\n', at_ms=1_700_000_000_000)
    lines = list(documents([nasty]))
    header, row = b"".join(csv_lines(lines)).decode().splitlines()
    assert header == "number,letter,login,instance,code,wish,outcome,reason,ended_at,closed_by"
    assert row == '1,dl-1,,,,,closed,,2023-11-14T22:13:20.000Z,"\'=cmd|""x""?,?"'
    assert b'"login": null' in b"".join(json_lines(lines))
