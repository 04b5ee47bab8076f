import xml.etree.ElementTree as ET
from typing import Any

import pytest

from worker.backfill.job_models import Job, JobStatus, LetterOutcome, LetterResult, Preflight, Verb
from worker.operations.bulk_progress import sentence_of, title_of
from worker.web.review.bulk_view import (
    job_progress,
    preflight_bar,
    preflight_parts,
    result_row,
    warnings,
)


def preflight(verb: Verb = Verb.REPLAY, **counts: Any) -> Preflight:
    return Preflight("job-1", verb, counts.pop("total", 1204), **counts)


def job(status: JobStatus = JobStatus.RUNNING, **values: Any) -> Job:
    counts = dict.fromkeys(LetterOutcome, 0) | values.pop("counts", {})
    about = {"by": "ann", "selection": "", "total": 10, "decided": 4} | values
    return Job("job-1", about.pop("verb", Verb.REPLAY), status, counts=counts, **about)


def test_the_counts_of_a_preflight_add_up() -> None:
    found = preflight(
        called=1131, superseded=52, already_as_wished=14, in_flight=7, seconds=229.0, calls_per_second=5.0
    )
    parts = preflight_parts(found)
    assert [part.count for part in parts] == [1131, 14, 52, 7]
    assert sum(part.count for part in parts) == found.total


def test_counts_of_zero_are_not_named_and_nothing_to_do_is_said() -> None:
    found = preflight(total=3, closed=3)
    assert [part.name for part in preflight_parts(found)] == ["closed meanwhile"]
    assert [(part.count, part.name) for part in preflight_parts(found)] == [(3, "closed meanwhile")]
    assert warnings(found) == ["This job would change nothing."]


@pytest.mark.parametrize(
    ("verb", "words"),
    [(Verb.RESOLVE, "will be resolved"), (Verb.ASSIGN, "will be assigned"), (Verb.SNOOZE, "will be snoozed")],
)
def test_a_job_without_calls_says_what_it_changes(verb: Verb, words: str) -> None:
    found = preflight(verb, total=2, changed=2)
    assert [(part.count, part.name) for part in preflight_parts(found)] == [(2, words)]
    assert sentence_of(found) == f"2 {words}."
    assert warnings(found) == []


def test_a_closed_gate_is_a_warning() -> None:
    (warning,) = warnings(preflight(called=1, closed_gates=("toolbox",)))
    assert "The gate of toolbox is closed" in warning


def test_counts_of_one_colour_are_one_segment_of_the_bar() -> None:
    found = preflight(total=10, called=2, changed=3, closed=5)
    rects = list(ET.fromstring(preflight_bar(preflight_parts(found), found.total)).iter("rect"))
    assert [(rect.get("class"), rect.get("width")) for rect in rects[1:]] == [("called", "50.00"), ("other", "50.00")]


def test_progress_counts_failures_and_what_a_cancel_dropped() -> None:
    one = job_progress(
        job(JobStatus.CANCELLED, counts={"applied": 1, "dead": 2, "failed": 1, "cancelled": 5, "waiting": 1})
    )
    assert (one.failed, one.dropped, one.waiting, one.left, one.is_live) == (3, 5, 1, 6, True)
    assert one.may == set()
    assert one.outcomes == "1 applied, 2 dead, 1 failed, 5 cancelled, 1 waiting"


def test_titles_name_the_action_as_its_button() -> None:
    assert title_of(job(total=1)) == "Replay: 1 letter"
    assert title_of(job(verb=Verb.NOTHING_LEFT, total=1200)) == "Nothing left to switch off: 1,200 letters"


def test_each_outcome_has_words_and_a_colour() -> None:
    kinds = {each: result_row(1, LetterResult("dl-1", each)).kind for each in LetterOutcome}
    assert kinds[LetterOutcome.APPLIED] == "good"
    assert kinds[LetterOutcome.DEAD] == "bad"
    assert kinds[LetterOutcome.SUPERSEDED] == ""
    closed = result_row(1, LetterResult("dl-1", LetterOutcome.CLOSED, closed_by="bob", letter_code="X", wish="on"))
    assert (closed.outcome, closed.about) == ("closed by bob", "X wish on")
    assert result_row(1, LetterResult("dl-1", LetterOutcome.NOT_APPLICABLE)).outcome == "not applicable"
