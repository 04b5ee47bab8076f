"""A person who edits a rejected message cannot bring a value that is not shown to a place where it would be."""

import json

import pytest

from tests.integration.operations.reviewing import ANN, LOGIN, Review, event
from worker.errors import InvalidAction
from worker.ledger.queries import Views


@pytest.mark.parametrize(("name", "claimed"), [("subject", "account_id"), ("id", "event_id")])
@pytest.mark.parametrize("text", ["[kept 1]", "a [kept 1]!"])
@pytest.mark.parametrize("login_id", [LOGIN, "secret-4711"])
def test_a_login_id_that_is_put_into_a_shown_id_is_masked(
    review: Review, name: str, claimed: str, text: str, login_id: str
) -> None:
    letter = review.rejected(event(login_id, time=""))
    document = json.loads(review.actions.masked_body(letter.id).text)
    document |= {"time": "2020-11-22T10:00:00Z", "data": {"loginId": "another-login"}, name: text}
    done = review.actions.resubmit(letter.id, by=ANN, body=json.dumps(document), reason="typing")
    login = Views(review.redis).login(done.corrected_to) or {}
    assert login[claimed].startswith("masked-")
    ids = {"account_id": "cust-42", "event_id": "evt-9"}
    assert all(login[other] == value for other, value in ids.items() if other != claimed), "the others stay"
    assert not [key for key, value in review.everything().items() if login_id in repr(value)]


@pytest.mark.parametrize("text", ["\\[kept 1]", "a\\u[kept 1]", "\\u0a0[kept 1]"])
def test_no_escape_takes_a_part_of_a_kept_value_away(review: Review, text: str) -> None:
    letter = review.rejected(event("boring-login", time=""))
    body = review.actions.masked_body(letter.id).text.replace('"cust-42"', f'"{text}"')
    with pytest.raises(InvalidAction, match="A backslash stands before a kept value"):
        review.actions.resubmit(letter.id, by=ANN, body=body, reason="typing")
