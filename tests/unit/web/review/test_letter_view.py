"""The words of the page of a letter."""

import pytest

from worker.ledger.models import Recorded
from worker.operations.letter_corrections import Done
from worker.operations.letter_preview import Preview, Would
from worker.web.review.letter_view import done_text, outlook


@pytest.mark.parametrize("would", Would)
def test_every_result_of_a_replay_has_a_title_and_says_whether_to_offer_it(would: Would) -> None:
    found = outlook(Preview("dl-1", 1, would, "A sentence.", wish="off"))
    assert found.title
    assert "{" not in found.title
    assert found.can_replay is (would in {Would.SUPERSEDE, Would.ACCEPT} or would.name.startswith(("CALL", "WAIT")))


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (Done("dl-1", "replayed"), "as soon as its turn comes"),
        (Done("dl-1", "superseded"), "Nothing was called"),
        (Done("dl-1", "corrected"), "closed"),
        (Done("dl-1", "corrected", recorded=(Recorded.SUPERSEDED,)), "its wish stays"),
    ],
)
def test_each_outcome_says_what_was_done_and_what_was_not(done: Done, words: str) -> None:
    assert words in done_text(done)
